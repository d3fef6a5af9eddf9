"""What a run hands over: the submission."""
