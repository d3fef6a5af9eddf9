"""The table of experiments, for the screen and as a page."""

from pathlib import Path

import pandas as pd
from jinja2 import Environment, StrictUndefined

from saltseg.report.times import duration


def format_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of ``experiments.csv`` as texts, estimates with their standard errors."""

    def estimates(form: str, name: str, error: str) -> list[str]:
        pairs = zip(table[name], table[error], strict=True)
        return [
            "" if pd.isna(mean) else f"{mean:{form}}" + ("" if pd.isna(e) else f" ± {e:.4f}")
            for mean, e in pairs
        ]

    times = table["training_seconds"]
    shown = {
        "name": table["name"],
        "score": estimates(".4f", "score", "standard_error"),
        "difference": estimates("+.4f", "difference", "difference_error"),
        "tiles": table["tiles"].map(str),
        "training": ["not recorded" if pd.isna(time) else duration(time) for time in times],
    }
    settings = {name: table[name].map(str) for name in table.columns if "." in name}
    return pd.DataFrame(shown | settings)


def write_page(path: Path, table: pd.DataFrame, said: str) -> None:
    """Write a page with formatted texts; ``said`` is the note on the scores' honesty."""
    template = Path(__file__).with_suffix(".html").read_text()
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    text = environment.from_string(template).render(
        said=said,
        first=table["name"].iloc[0],
        columns=table.columns,
        rows=table.to_numpy().tolist(),
    )
    path.write_text(text, encoding="utf-8")
