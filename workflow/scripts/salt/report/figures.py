"""How figures are drawn: plain axes, one size of type, and an SVG that takes its page's ink."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from salt.core.files import replacing
from salt.survey.folds import COVERAGE_CLASSES

# Stands for the ink in the drawing; in the file it is the colour of the text around it.
INK = "#1a1a1a"
FAINT = "#808080"
WIDE, HIGH = 6.4, 2.9  # inches
NOT_HONEST = "NOT honest: the members trained on these tiles. "

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
        # Text stays text: it can be searched, read aloud, and set in the page's type.
        "svg.fonttype": "none",
    }
)


def panels(count: int = 2, high: float = HIGH, **kwargs) -> tuple[Figure, list[Axes]]:
    """A figure of some panels side by side, with faint lines at the values."""
    figure, axes = plt.subplots(
        1, count, figsize=(WIDE, high), squeeze=False, layout="constrained", **kwargs
    )
    for axis in axes[0]:
        axis.grid(axis="y")
    return figure, list(axes[0])


def name_classes(axis: Axes) -> None:
    """Name the coverage classes below an axis: no salt, then per cent of the tile."""
    names = ["0", *(f"{10 * k}-{10 * (k + 1)}" for k in range(COVERAGE_CLASSES))]
    names[1] = ">0-10"
    axis.set_xticks(range(len(names)), names, rotation=60)


def absent(path: Path | str, title: str, reason: str) -> None:
    """In the place of a figure that cannot be drawn: why."""
    figure = plt.figure(figsize=(WIDE, 0.8))
    figure.text(0.02, 0.5, f"Not drawn: {reason}", va="center", wrap=True)
    save_svg(figure, path, title, f"Not drawn: {reason}")


def leave_empty(axis: Axes, reason: str) -> None:
    """Say in one panel of a figure why there is nothing in it."""
    axis.text(0.5, 0.5, reason, ha="center", va="center", transform=axis.transAxes)
    axis.set(xticks=[], yticks=[])


def say(path: Path | str, text: str) -> None:
    """In the place of a picture of tiles that cannot be drawn: why."""
    figure = plt.figure(figsize=(WIDE, 0.8))
    figure.text(0.02, 0.5, text, va="center", wrap=True)
    save_png(figure, path)


def save_png(figure: Figure, path: Path | str) -> None:
    """Write and close a picture of tiles, on white."""
    with replacing(path) as part:
        # Without the date and version that would make every file another one.
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None}, transparent=False)
    plt.close(figure)


def save_svg(figure: Figure, path: Path | str, title: str, description: str) -> None:
    """Write and close a figure; its title and description are kept in the file."""
    with replacing(path) as part:
        about = {"Title": title, "Description": description, "Date": None, "Creator": None}
        # Names inside the file are the same each time, and those of no other figure on the page.
        with plt.rc_context({"svg.hashsalt": Path(path).stem}):
            figure.savefig(part, format="svg", metadata=about)
        part.write_text(part.read_text().replace(INK, "currentColor"))
    plt.close(figure)
