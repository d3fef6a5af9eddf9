"""Pictures of labelled tiles with their true and predicted masks and errors."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from saltseg.core import metric
from saltseg.ensemble.predictions import Predictions, mean_probabilities
from saltseg.report.figures import noted, plt, save_png, say
from saltseg.report.palette import ERROR, PREDICTION, TRUTH
from saltseg.survey.tiles import Tiles

ERROR_ALPHA = 0.4
ONE_MEMBER = "there are not two honest members for every tile"


def choose(review: pd.DataFrame, count: int) -> dict[str, list[str]]:
    """Return the ids of at most ``count`` tiles per picture, from a review sorted worst first.

    gallery: tiles with salt (all tiles if there are none), evenly spaced from worst to best
    worst: the lowest scores
    typical, best: tiles with a salt boundary (or all), from the middle and the top by IoU
    disagreement: where members disagree most; empty unless every tile has two honest members
    """
    scored = review[review["members"] > 0]
    salty = _of(scored, scored["coverage"] > 0)
    bounded = _of(scored, (scored["coverage"] > 0) & (scored["coverage"] < 1))
    bounded = bounded.sort_values(["iou", "id"])
    spread = np.linspace(0, len(salty) - 1, min(count, len(salty))).round().astype(int)
    middle = max((len(bounded) - count) // 2, 0)
    differing = scored.sort_values(["disagreement", "id"], ascending=[False, True])
    chosen = {
        "gallery": salty.iloc[spread],
        "worst": scored[:count],
        "typical": bounded[middle : middle + count],
        "best": bounded[-count:][::-1],
        "disagreement": differing[: count if several_honest(review) else 0],
    }
    return {name: table["id"].tolist() for name, table in chosen.items()}


def _of(table: pd.DataFrame, which: pd.Series) -> pd.DataFrame:
    return table[which] if which.any() else table


def several_honest(review: pd.DataFrame) -> bool:
    """Return whether every scored tile has at least two members, none trained on it."""
    many = review["members"][review["members"] > 0]
    return bool(review["honest"].all() and (many > 1).all())


def draw_gallery(
    path: Path | str,
    tiles: Tiles,
    members: list[Predictions],
    ids: list[str],
    threshold: float,
    note: str,
) -> None:
    """Draw tiles with the mean probability of the members that predicted them.

    Head the picture with why its scores are not honest, the ``note``, unless that is empty. With no
    ids, draw a note that some tiles lack two honest members.
    """
    if not ids:
        say(path, f"Not drawn: {ONE_MEMBER}.")
        return
    rows = pd.Index(tiles.ids).get_indexer(pd.Index(ids))
    mean = np.concatenate([mean for _, mean in mean_probabilities(members, ids)])
    images, masks = tiles.images[rows], tiles.masks[rows]
    figure = draw(ids, images, masks, mean, threshold)
    title = noted(note, "")
    if title:
        figure.suptitle(title, fontsize=11, weight="bold")
    save_png(figure, path)


def draw(
    ids: list[str],
    images: np.ndarray,
    masks: np.ndarray,
    probabilities: np.ndarray,
    threshold: float,
) -> Figure:
    """Draw a column per tile: image, true mask, probability, and outlines and errors on the image.

    Args:
        images: uint8; masks: bool; probabilities: float64; all (ids, height, width).
    """
    predicted = probabilities > threshold
    grid = _Grid(*masks.shape[1:])
    figure, axis = plt.subplots(
        figsize=(1.5 * len(ids) + 0.5, 6.3 * grid.height / grid.width + 0.55), layout="constrained"
    )
    scores = metric.tile_scores(predicted, masks)
    for column, (name, score) in enumerate(zip(ids, scores, strict=True)):
        _draw_outlines(axis, grid.corner(3, column), masks[column], predicted[column])
        middle = column * grid.across + grid.width / 2
        axis.text(middle, 0.8 * grid.head, f"{name}\nscore {score:.1f}", fontsize=8, ha="center")
    axis.imshow(_canvas(grid, images, masks, probabilities, predicted))
    for row, label in enumerate(("tile", "truth", "probability", "errors")):
        y = grid.corner(row, 0)[0] + grid.height / 2
        axis.text(-0.06 * grid.width, y, label, fontsize=9, rotation=90, va="center", ha="right")
    axis.set_axis_off()
    _draw_legend(figure, columns=5 if len(ids) > 3 else 2)
    return figure


@dataclass(frozen=True)
class _Grid:
    """Where tiles of (height, width) lie on the canvas: four rows of them below their names.

    A single image, since separate axes per tile take ten times as long.
    """

    height: int
    width: int

    @property
    def head(self) -> int:
        """Pixels for the names, which the layout would crop."""
        return round(0.24 * self.height)

    @property
    def down(self) -> int:
        return round(1.06 * self.height)

    @property
    def across(self) -> int:
        return round(1.06 * self.width)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """Return the canvas row and column at which a tile begins."""
        return self.head + row * self.down, column * self.across


def _canvas(
    grid: _Grid,
    images: np.ndarray,
    masks: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
) -> np.ndarray:
    """Return all tiles, a column each, as RGB in [0, 1], float64 (height, width, 3)."""
    canvas = np.ones((grid.head + 4 * grid.down, len(images) * grid.across, 3))
    for column, (image, mask) in enumerate(zip(images, masks, strict=True)):
        grey = image / 255
        shown = (
            tinted(grey),
            tinted(np.zeros(mask.shape), mask, TRUTH),
            tinted(probabilities[column]),
            tinted(grey, mask ^ predicted[column], ERROR, ERROR_ALPHA),
        )
        for row, picture in enumerate(shown):
            top, left = grid.corner(row, column)
            canvas[top:, left:][: grid.height, : grid.width] = picture
    return canvas


def _draw_outlines(
    axis: Axes, corner: tuple[int, int], mask: np.ndarray, predicted: np.ndarray
) -> None:
    height, width = mask.shape
    x, y = corner[1] + np.arange(width), corner[0] + np.arange(height)
    for area, colour in ((mask, TRUTH), (predicted, PREDICTION)):
        if area.any() and not area.all():
            axis.contour(x, y, area, levels=[0.5], colors=colour, linewidths=1.2)


def _draw_legend(figure: Figure, columns: int) -> None:
    # The error colour as it looks over grey.
    error = tinted(np.full((1, 1), 0.5), np.ones((1, 1), bool), ERROR, ERROR_ALPHA)[0, 0]
    figure.legend(
        handles=[
            plt.Line2D([], [], color=TRUTH, label="truth"),
            plt.Line2D([], [], color=PREDICTION, label="prediction"),
            Patch(color=error, label="error"),
            Patch(facecolor="black", label="probability 0"),
            Patch(facecolor="white", edgecolor="black", label="probability 1"),
        ],
        loc="outside lower center",
        ncols=columns,
        fontsize=9,
    )


def tinted(
    grey: np.ndarray, area: np.ndarray | None = None, colour: str = "", alpha: float = 1.0
) -> np.ndarray:
    """Return grey values in [0, 1] as RGB, float64 (height, width, 3), with an area coloured."""
    picture = np.repeat(grey[..., None], 3, axis=-1).astype(np.float64)
    if area is not None:
        picture[area] = (1 - alpha) * picture[area] + alpha * np.array(to_rgb(colour))
    return picture
