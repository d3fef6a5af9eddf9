"""Time and memory of each job, from Snakemake's benchmark files."""

from pathlib import Path

import pandas as pd


def read_times(*folders: Path | str) -> pd.DataFrame:
    """Return a row per job: step (str), seconds and megabytes (float64, NaN if not measured).

    The slowest steps come first. Files are ``STEP.tsv`` or below ``STEP/`` of a folder; unreadable
    ones are skipped, since no result depends on them.
    """
    rows = []
    found = [(path, each) for each in folders for path in sorted(Path(each).rglob("*.tsv"))]
    for path, folder in found:
        step = path.relative_to(folder).parts[0].removesuffix(".tsv")
        try:
            table = pd.read_csv(path, sep="\t")
            found = table[["s", "max_rss"]].apply(pd.to_numeric, errors="coerce")
        except (OSError, ValueError, KeyError):
            continue
        rows += [(step, *row) for row in found.itertuples(index=False)]
    times = pd.DataFrame(rows, columns=["step", "seconds", "megabytes"])
    total = times.groupby("step")["seconds"].transform("sum")
    order = total.rename("total").to_frame().assign(step=times["step"])
    order = order.sort_values(["total", "step"], ascending=[False, True], kind="stable").index
    return times.astype({"seconds": float, "megabytes": float}).loc[order].reset_index(drop=True)


def duration(seconds: float) -> str:
    """Format seconds as in "2 h 5 min", "4 min 14 s" or "0.5 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
