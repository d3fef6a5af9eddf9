"""Training of one member: augmentation, losses, optimisation, saved state."""
