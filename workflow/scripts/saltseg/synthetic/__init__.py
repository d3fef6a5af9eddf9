"""The demo survey: synthetic geology and its seismic response, in the contest's own formats."""
