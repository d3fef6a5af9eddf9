"""Shared by all packages: errors, files that check themselves, the metric and run lengths."""
