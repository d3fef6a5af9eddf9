"""Draw the filled demo volume beside its truth, for docs/volumes.md.

    make volume-picture

Takes the results of `make demo-volume`. The lines shown are not labelled.
"""

import argparse
from pathlib import Path

import numpy as np

from saltseg.output.surfaces import find_surfaces
from saltseg.report.figures import plt
from saltseg.report.palette import PREDICTION, TRUTH
from saltseg.survey.geometry import Geometry, load_traces
from saltseg.survey.lines import Lines
from saltseg.survey.segy import Segy

ROOT = Path(__file__).parents[1]
INLINE, CROSSLINE, TIME = 1247, 2520, 1480
NO_SALT = "#D8D8D8"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "experiments/demo-volume/results")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/volume-lines.png")
    args = parser.parse_args()
    results = args.results
    geometry = Geometry.load(results / "data/geometry.json")
    traces = load_traces(results / "data/traces.h5", geometry)
    amplitude, mask, truth = (
        read(results / name, traces)
        for name in ("demo/volume.sgy", "volume/mask.sgy", "demo/truth.sgy")
    )
    labelled = np.unique(Lines(results / "data/lines.h5").table["line"])

    figure, panels = plt.subplots(2, 3, figsize=(10, 7.6), layout="constrained")
    axes = geometry.inlines, geometry.crosslines, geometry.samples
    names = "inline", "crossline", "time (ms)"
    masks = (truth > 0, TRUTH), (mask > 0, PREDICTION)
    grey = {
        "cmap": "gray",
        "vmax": geometry.amplitude.clip / 2,
        "vmin": -geometry.amplitude.clip / 2,
    }
    for axis, panel, number in zip(range(3), panels[0], (INLINE, CROSSLINE, TIME), strict=True):
        down, across = (0, 1) if axis == 2 else (2, 1 - axis)
        place = axes[axis].index(number)
        show(panel, picture(amplitude, axis, place), axes[across], axes[down], **grey)
        for salt, colour in masks:
            outline = picture(salt, axis, place).astype(float)
            panel.contour(
                axes[across].numbers(), axes[down].numbers(), outline, [0.5], colors=colour,
                linewidths=1.4,
            )  # fmt: skip
        label(panel, names[across], names[down])
        panel.set_title(f"{names[axis].split()[0]} {number}{' ms' if axis == 2 else ''}")
    panels[0][2].invert_yaxis()

    tops = [top_of(salt, geometry.samples.numbers(), traces) for salt, _ in masks]
    bounds = {"vmin": np.nanmin(tops), "vmax": np.nanmax(tops), "cmap": "viridis_r"}
    error = tops[1] - tops[0]
    for panel, values, title, style in (
        (panels[1][0], tops[1], "top of salt, predicted (ms)", bounds),
        (panels[1][1], tops[0], "top of salt, true (ms)", bounds),
        (panels[1][2], error, "predicted minus true (ms)",
         {"vmin": -40, "vmax": 40, "cmap": "RdBu"}),
    ):  # fmt: skip
        panel.imshow(
            np.where(traces < 0, np.nan, 0.0), cmap=plt.matplotlib.colors.ListedColormap([NO_SALT]),
            extent=extent(geometry.crosslines, geometry.inlines), aspect="auto",
        )  # fmt: skip
        image = show(panel, values, geometry.crosslines, geometry.inlines, **style)
        panel.invert_yaxis()
        label(panel, "crossline", "inline")
        panel.set_title(title)
        figure.colorbar(image, ax=panel, location="bottom", shrink=0.8, aspect=30)
    for panel in (panels[0][2], *panels[1]):
        edge = geometry.crosslines.first
        panel.plot(np.full(len(labelled), edge), labelled, ">", color=TRUTH, markersize=5)
    figure.legend(
        handles=[
            plt.Line2D([], [], color=PREDICTION, label="predicted salt"),
            plt.Line2D([], [], color=TRUTH, label="true salt"),
            plt.Line2D([], [], color=TRUTH, marker=">", linestyle="", label="labelled inlines"),
            plt.Line2D([], [], color=NO_SALT, marker="s", linestyle="", label="no salt"),
        ],
        loc="outside lower center",
        ncols=4,
    )
    figure.savefig(args.output, dpi=80, facecolor="white", transparent=False)


def read(path: Path, traces: np.ndarray) -> np.ndarray:
    """Return samples, float32 (inlines, crosslines, samples), NaN where a trace is missing."""
    with Segy(path) as file:
        return file.read_traces(traces)


def picture(values: np.ndarray, axis: int, place: int) -> np.ndarray:
    """Return a section with samples down, or a slice with inlines down."""
    part = values.take(place, axis)
    return part if axis == 2 else part.T


def extent(across, down) -> tuple[float, float, float, float]:
    return (
        across.first - across.step / 2, across.last + across.step / 2,
        down.last + down.step / 2, down.first - down.step / 2,
    )  # fmt: skip


def show(panel, values: np.ndarray, across, down, **style):
    return panel.imshow(values, extent=extent(across, down), aspect="auto", **style)


def label(panel, across: str, down: str) -> None:
    panel.set_xlabel(across)
    panel.set_ylabel(down)
    panel.spines[:].set_visible(True)


def top_of(salt: np.ndarray, samples: np.ndarray, traces: np.ndarray) -> np.ndarray:
    """Return the times of the first salt sample, float64 (inlines, crosslines), else NaN."""
    has, top, _, _ = find_surfaces(salt & (traces >= 0)[..., None], 1.0)
    times = np.full(has.shape, np.nan)
    times[has] = samples[top]
    return times


if __name__ == "__main__":
    main()
