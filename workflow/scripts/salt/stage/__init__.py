"""What every stage script does: read settings, log, fail with a message, list its own code."""
