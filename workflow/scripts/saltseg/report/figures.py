"""Shared figure style: plain axes, one font size, and SVG that inherits the page's text colour."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saltseg.core.files import replacing
from saltseg.survey.folds import COVERAGE_CLASSES

# Placeholder for the text colour; save_svg replaces it by currentColor.
INK = "#1a1a1a"
FAINT = "#808080"
WIDE, HIGH = 6.4, 2.9  # inches
NOT_HONEST = "NOT honest: the members trained on these tiles. "


def noted(note: str, text: str) -> str:
    """Return a caption that begins with why scores are not honest; empty if they are."""
    return f"{note}. {text}" if note else text


plt.rcParams.update(
    {
        "font.size": 9,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "grid.color": FAINT,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "legend.handlelength": 1.6,
        "savefig.transparent": True,
        # Keep text as text, so it is searchable, accessible and set in the page's font.
        "svg.fonttype": "none",
    }
)


def panels(count: int = 2, high: float = HIGH, **kwargs) -> tuple[Figure, list[Axes]]:
    """Return a figure and its ``count`` axes side by side, with faint horizontal grid lines."""
    figure, axes = plt.subplots(
        1, count, figsize=(WIDE, high), squeeze=False, layout="constrained", **kwargs
    )
    for axis in axes[0]:
        axis.grid(axis="y")
    return figure, list(axes[0])


def name_classes(axis: Axes) -> None:
    """Label an axis with the coverage classes: no salt, then percent of the tile."""
    names = ["0", *(f"{10 * k}-{10 * (k + 1)}" for k in range(COVERAGE_CLASSES))]
    names[1] = ">0-10"
    axis.set_xticks(range(len(names)), names, rotation=60)


def absent(path: Path | str, title: str, reason: str) -> None:
    """Write a placeholder SVG that explains why a figure was not drawn."""
    figure = plt.figure(figsize=(WIDE, 0.8))
    figure.text(0.02, 0.5, f"Not drawn: {reason}", va="center", wrap=True)
    save_svg(figure, path, title, f"Not drawn: {reason}")


def leave_empty(axis: Axes, reason: str) -> None:
    """Explain in one panel of a figure why it is empty."""
    axis.text(0.5, 0.5, reason, ha="center", va="center", transform=axis.transAxes)
    # Ticks at the side may be those of the panel beside it.
    axis.set(xticks=[])


def say(path: Path | str, text: str) -> None:
    """Write a placeholder PNG that explains why a picture of tiles was not drawn."""
    figure = plt.figure(figsize=(WIDE, 0.8))
    figure.text(0.02, 0.5, text, va="center", wrap=True)
    save_png(figure, path)


def save_png(figure: Figure, path: Path | str) -> None:
    """Save a picture of tiles as PNG on white, then close it."""
    with replacing(path) as part:
        # No version in the metadata, so equal pictures give equal files.
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None}, transparent=False)
    plt.close(figure)


def save_svg(figure: Figure, path: Path | str, title: str, description: str) -> None:
    """Save a figure as SVG with its title and description as metadata, then close it."""
    with replacing(path) as part:
        about = {"Title": title, "Description": description, "Date": None, "Creator": None}
        # Element ids are reproducible, and unique to this figure on the page.
        with plt.rc_context({"svg.hashsalt": Path(path).stem}):
            figure.savefig(part, format="svg", metadata=about)
        part.write_text(part.read_text().replace(INK, "currentColor"))
    plt.close(figure)
