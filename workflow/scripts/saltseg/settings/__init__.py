"""The configuration: defaults, and what can be wrong with it."""
