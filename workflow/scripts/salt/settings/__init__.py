"""The configuration, and what can be wrong with it."""
