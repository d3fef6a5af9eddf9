"""Shared by all packages: errors, files, the metric and run lengths."""
