"""What members predict, averaged over members, and the pseudo-labels made from it."""
