"""Shared by all stage scripts: settings, log, failure with a message, list of their code."""
