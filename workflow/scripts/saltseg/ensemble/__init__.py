"""Members' predictions, their averages, and pseudo-labels made from them."""
