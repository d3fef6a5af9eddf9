"""Print time and memory of each rule in a finished run, as in profiles/README.md.

.venv/bin/python benchmarks/jobs.py results
"""

import argparse
from pathlib import Path

import pandas as pd

ORDER = ["demo", "import_train", "import_test", "split", "train", "predict_validation"]
ORDER += ["predict_test", "predict", "threshold", "gallery", "submission", "summary"]


def jobs(results: Path) -> pd.DataFrame:
    """Return a row per job: rule, seconds, CPU seconds and peak memory in MB, from Snakemake."""
    rows = []
    for path in sorted((results / "benchmarks").rglob("*.tsv")):
        found = pd.read_csv(path, sep="\t").iloc[-1]
        rule = path.relative_to(results / "benchmarks").parts[0].removesuffix(".tsv")
        rows.append((rule, found["s"], found["cpu_time"], found["max_rss"]))
    return pd.DataFrame(rows, columns=["rule", "seconds", "cpu", "memory"])


def table(results: Path) -> str:
    """Return a Markdown table of the maximum over each rule's jobs."""
    lines = ["| rule | jobs | seconds | CPU seconds | memory, MB |", "|---|---|---|---|---|"]
    found = jobs(results).groupby("rule").agg(["size", "max"])
    for rule in ORDER:
        if rule in found.index:
            row = found.loc[rule]
            values = (f"{row[key, 'max']:,.0f}" for key in ("seconds", "cpu", "memory"))
            lines.append(f"| `{rule}` | {row['seconds', 'size']:.0f} | {' | '.join(values)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="results folder of a finished run")
    print(table(parser.parse_args().results))
