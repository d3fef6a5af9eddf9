"""Sprite sheets, so that the page can show any tile without loading all of them.

Sheet k stacks the ROWS tiles from k * ROWS on. ``NAME-k-grey.webp`` has image and probability side
by side. ``NAME-k-masks.webp`` has true mask, predicted mask, and both outlines over the errors on a
transparent background, as an overlay for the image.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from saltseg.evaluation.review import dilate
from saltseg.report.palette import ERROR, PREDICTION, TRUTH, rgb

ROWS = 16
# Larger tiles are subsampled by a whole factor.
LONGEST_SIDE = 160
QUALITY = 75
ERROR_ALPHA = 102  # of 255


def shrink(size: tuple[int, ...]) -> int:
    """Return the subsampling step for displaying tiles of ``size`` (height, width)."""
    return -(-max(size) // LONGEST_SIDE)


def shown_size(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return the displayed height and width of tiles of ``size`` (height, width)."""
    return tuple(-(-side // shrink(size)) for side in size)


def write_sheets(
    stem: Path,
    first: int,
    images: np.ndarray,
    probabilities: np.ndarray,
    predicted: np.ndarray,
    masks: np.ndarray | None,
) -> None:
    """Write the sheets of consecutive tiles starting at index ``first``, a multiple of ROWS.

    Args:
        stem: folder, and how the files' names begin.
        images: uint8; probabilities: float64 in [0, 1]; predicted: bool; masks: bool, or None if
            there are no labels; all (tiles, height, width).
    """
    step = shrink(images.shape[1:])
    images, probabilities, predicted = (
        array[:, ::step, ::step] for array in (images, probabilities, predicted)
    )
    grey = np.concatenate([images, np.rint(255 * probabilities).astype(np.uint8)], axis=2)
    masks = None if masks is None else masks[:, ::step, ::step]
    drawn = draw_masks(predicted, masks)

    def write(start: int) -> None:
        sheet = f"{stem.name}-{(first + start) // ROWS}"
        part = slice(start, start + ROWS)
        picture = Image.fromarray(stack_tiles(grey[part]))
        picture.save(stem.with_name(f"{sheet}-grey.webp"), quality=QUALITY, method=2)
        picture = Image.fromarray(stack_tiles(drawn[part]))
        picture.save(stem.with_name(f"{sheet}-masks.webp"), lossless=True, quality=20, method=1)

    # Pillow releases the GIL while encoding.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write, range(0, len(images), ROWS)))


def stack_tiles(tiles: np.ndarray) -> np.ndarray:
    """Stack tiles (tiles, height, width, ...) vertically."""
    return tiles.reshape(-1, *tiles.shape[2:])


def draw_masks(predicted: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Draw truth, prediction and outlines over errors: RGBA uint8 (tiles, height, 3 width, 4).

    Without labels the truth is empty and no errors are drawn.
    """
    known = np.zeros_like(predicted) if masks is None else masks
    drawn = np.zeros((3, *predicted.shape, 4), dtype=np.uint8)
    drawn[:2, ..., 3] = 255
    drawn[0][known, :3] = rgb(TRUTH)
    drawn[1][predicted, :3] = rgb(PREDICTION)
    if masks is not None:
        drawn[2][masks ^ predicted] = (*rgb(ERROR), ERROR_ALPHA)
        drawn[2][outline(masks)] = (*rgb(TRUTH), 255)
    drawn[2][outline(predicted)] = (*rgb(PREDICTION), 255)
    return np.concatenate(list(drawn), axis=2)


def outline(masks: np.ndarray, pixels: int = 1) -> np.ndarray:
    """Return the mask pixels within ``pixels`` of one outside, bool (tiles, height, width)."""
    return masks & dilate(~masks, pixels)
