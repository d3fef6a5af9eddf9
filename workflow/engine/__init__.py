"""What the Snakefile does beyond rules: messages on the terminal, and the cause of a failure."""
