"""What every other package may use: errors, files, the metric, run lengths, the configuration."""
