"""The device a stage computes on, and a GPU of its own for each job."""
