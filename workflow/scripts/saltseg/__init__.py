"""Salt segmentation of seismic tiles; knows nothing of the workflow that calls it."""
