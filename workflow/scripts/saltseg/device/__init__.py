"""The device a stage computes on, and an exclusive GPU for each job."""
