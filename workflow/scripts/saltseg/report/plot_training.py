"""Plot learning curves, and time and memory per step."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from saltseg.core.errors import InputError, printable
from saltseg.core.header import TRAIN_AGAIN, read_checkpoint
from saltseg.core.tables import read_csv
from saltseg.report.figures import FAINT, INK, NOT_HONEST, absent, panels, plt, save_svg
from saltseg.report.palette import member_style
from saltseg.report.times import read_times

HISTORY = ["epoch", "train_loss", "valid_loss", "valid_score", "learning_rate", "honest"]
# Axis ticks in seconds, and their labels.
DURATIONS = {0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
DURATIONS |= {36000: "10 h", 360000: "100 h"}


def read_history(path: Path | str) -> pd.DataFrame:
    """Read a member's history.csv; raise InputError if the table is damaged."""
    history = read_csv(path, "delete it to train again")
    if list(history.columns) != HISTORY or not len(history):
        raise InputError(
            f"{path}: expected epochs by the columns {','.join(HISTORY)}, found "
            f"{len(history)} rows of {printable(','.join(map(str, history.columns)))}; delete it "
            "to train again"
        )
    return history


def kept_epoch(path: Path | str) -> int:
    """Return the epoch a checkpoint was kept from; raise InputError if its header is unreadable."""
    epoch = read_checkpoint(path)[0].get("epoch")
    if type(epoch) is not int:
        raise InputError(
            f"{path}: expected the kept epoch in its header, found {printable(repr(epoch))}; "
            f"{TRAIN_AGAIN}"
        )
    return epoch


def draw_learning(
    path: Path | str, histories: dict[str, pd.DataFrame], kept: dict[str, int]
) -> None:
    """Draw each member's loss and score by epoch, and mark the kept epoch."""
    figure, (losses, scores) = panels()
    for number, (name, history) in enumerate(histories.items()):
        colour, dashes = member_style(number)
        style = {"color": colour, "linestyle": dashes, "linewidth": 1.4}
        epochs = history["epoch"]
        losses.plot(epochs, history["train_loss"], **{**style, "alpha": 0.4})
        losses.plot(epochs, history["valid_loss"], **style)
        scores.plot(epochs, history["valid_score"], label=f"member {name}", **style)
        row = history[epochs == kept[name]]
        for axis, column in ((losses, "valid_loss"), (scores, "valid_score")):
            axis.plot(row["epoch"], row[column], "o", color=colour, markersize=5)
    losses.set(ylabel="loss", title="Loss: training pale, validation solid")
    scores.set(
        ylabel="score at a threshold of 0.5", title="Validation score: dot at the kept epoch"
    )
    for axis in (losses, scores):
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axis.set_ylim(bottom=0)
    if len(histories) <= 10:
        scores.legend(loc="lower right", ncols=2 if len(histories) > 5 else 1)
    honest = all(history["honest"].all() for history in histories.values())
    best = [
        f"member {name} {history['valid_score'][history['epoch'] == kept[name]].max():.3f}"
        for name, history in histories.items()
    ]
    text = (
        f"{'' if honest else NOT_HONEST}Loss and score of each member after each epoch. The dot "
        f"marks the epoch whose weights were kept. Its score: {', '.join(best)}."
    )
    save_svg(figure, path, "Learning curves", text)


def draw_times(path: Path | str, folders: Sequence[Path | str]) -> None:
    """Draw time and peak memory of each job, one row per step, from Snakemake's benchmarks."""
    title, times = "Time and memory of each step", read_times(*folders)
    if times.empty:
        absent(path, title, f"no benchmarks in {folders[0]}.")
        return
    steps = times["step"].unique().tolist()
    rows = times["step"].map(steps.index)
    figure, axes = panels(high=0.9 + 0.2 * len(steps), sharey=True)
    for axis, column in zip(axes, ("seconds", "megabytes"), strict=True):
        # Times below the clock's resolution are 0.
        values = times[column].clip(lower=0.1)
        axis.hlines(range(len(steps)), *extent(values), color=FAINT, alpha=0.25, linewidth=0.6)
        axis.plot(values, rows, "o", color=INK, alpha=0.5, markersize=4, markeredgewidth=0)
        axis.set_xscale("log")
        axis.set_xlim(*extent(values))
        axis.grid(visible=False)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    count = times["step"].value_counts()
    jobs = [f"{step} ({count[step]} jobs)" if count[step] > 1 else step for step in steps]
    axes[0].set_yticks(range(len(steps)), jobs)
    axes[0].invert_yaxis()
    longest, shortest = times["seconds"].max(), times["seconds"].min()
    ticks = [at for at in DURATIONS if shortest / 10 < at < longest * 10]
    axes[0].xaxis.set_major_locator(FixedLocator(ticks))
    axes[0].set_xticklabels([DURATIONS[at] for at in ticks])
    axes[0].xaxis.set_minor_locator(NullLocator())
    axes[0].set_xlabel("time (logarithmic)")
    axes[1].set_xlabel("peak memory (MB, logarithmic)")
    low, high = axes[1].get_xlim()
    axes[1].xaxis.set_major_locator(LogLocator(subs=[1, 2, 5] if high < 100 * low else [1]))
    axes[1].xaxis.set_minor_locator(NullLocator())
    axes[1].xaxis.set_major_formatter(plt.FuncFormatter(lambda value, _: f"{value:g}"))
    text = (
        "Each dot is a job, measured since its last start or resume. Steps are sorted by total "
        "time, longest first."
    )
    save_svg(figure, path, title, text)


def extent(values: pd.Series) -> tuple[float, float]:
    """Return limits of a logarithmic axis slightly wider than its positive values."""
    if values.isna().all():
        return 0.1, 1.0
    return 10 ** (np.log10(values.min()) - 0.3), 10 ** (np.log10(values.max()) + 0.3)
