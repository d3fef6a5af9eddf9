"""What the Snakefile needs beyond rules: the record of jobs, retries, and generated files."""
