"""A picture of tiles with true and predicted masks."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt

from salt import metric
from salt.files import replacing
from salt.predictions import Predictions, averaged, predicted_rows
from salt.tiles import Tiles

# Okabe and Ito's palette, safe for colour blindness.
TRUTH, PREDICTION = "#E69F00", "#56B4E9"


def choose(coverage: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    """Rows of ``count`` tiles with salt, evenly spread over the scores from worst to best.

    Of tiles without salt where there are no others.
    """
    rows = np.flatnonzero(coverage > 0) if (coverage > 0).any() else np.arange(len(coverage))
    rows = rows[np.argsort(scores[rows], kind="stable")]
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


def draw_gallery(
    path: Path | str,
    tiles: Tiles,
    members: list[Predictions],
    threshold: float,
    columns: int,
    honest: bool,
) -> None:
    """Draw labelled tiles, each with the mean probability of the members that predicted it.

    Where that is not ``honest``, since they had trained on it, the picture says so.
    """
    rows = predicted_rows(members, tiles.ids)
    masks = tiles.masks[rows]
    ids = tiles.table["id"].iloc[rows].tolist()
    mean = np.concatenate([mean for _, mean in averaged(members, ids)])
    scores = metric.tile_scores(mean > threshold, masks)
    chosen = choose(tiles.table["coverage"].to_numpy()[rows], scores, columns)
    ids = [ids[row] for row in chosen]
    draw(
        path,
        ids,
        tiles.images[rows[chosen]],
        masks[chosen],
        mean[chosen],
        threshold,
        title="" if honest else "NOT honest: the members trained on these tiles",
    )


def draw(
    path: Path | str,
    ids: list[str],
    images: np.ndarray,
    masks: np.ndarray,
    probabilities: np.ndarray,
    threshold: float,
    title: str = "",
) -> None:
    """Draw a column per tile: image, true mask, probability, and both outlines on the image."""
    predicted = probabilities > threshold
    scores = metric.tile_scores(predicted, masks)
    rows = ["tile", "true salt", "probability", "outlines"]
    figure, axes = plt.subplots(
        len(rows), len(ids), figsize=(1.5 * len(ids), 6.5), squeeze=False, layout="constrained"
    )
    for column, (name, image, mask, probability, prediction, score) in enumerate(
        zip(ids, images, masks, probabilities, predicted, scores, strict=True)
    ):
        top, truth, probable, outlines = axes[:, column]
        top.imshow(image, cmap="gray", vmin=0, vmax=255)
        top.set_title(f"{name}\nscore {score:.1f}", fontsize=8)
        truth.imshow(mask, cmap="gray", vmin=0, vmax=1)
        probable.imshow(probability, cmap="gray", vmin=0, vmax=1)
        outlines.imshow(image, cmap="gray", vmin=0, vmax=255)
        for area, colour in ((mask, TRUTH), (prediction, PREDICTION)):
            if area.any() and not area.all():
                outlines.contour(area, levels=[0.5], colors=colour, linewidths=1.2)
    for label, row in zip(rows, axes, strict=True):
        row[0].set_ylabel(label, fontsize=9)
        for axis in row:
            axis.set(xticks=[], yticks=[])
    if title:
        figure.suptitle(title, fontsize=11, weight="bold")
    figure.legend(
        handles=[
            plt.Line2D([], [], color=TRUTH, label="truth"),
            plt.Line2D([], [], color=PREDICTION, label="prediction"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=9,
    )
    with replacing(path) as part:
        # Without the date and version that would make every file another one.
        figure.savefig(part, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
