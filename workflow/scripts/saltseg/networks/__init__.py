"""Networks, their encoders, and the checkpoints they are stored in."""
