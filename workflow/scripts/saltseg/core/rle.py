"""Run-length encoding of masks, as a submission has them.

Pixels are numbered from 1, down each column first (column-major); a mask is the list
``start length start length ...`` of its runs, and an empty mask is an empty string.
"""

import numpy as np


def encode(mask: np.ndarray) -> str:
    """Encode a boolean mask of shape (height, width)."""
    pixels = np.zeros(mask.size + 2, dtype=bool)
    pixels[1:-1] = mask.ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges.tolist()))
