"""The decision threshold, the score to quote, and the review of labels."""
