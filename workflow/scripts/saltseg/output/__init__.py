"""The output of a run: the submission."""
