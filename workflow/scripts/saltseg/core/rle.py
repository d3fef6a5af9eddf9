"""Run-length encoding of masks, as a submission has them.

Pixels are numbered from 1, down each column first (column-major); a mask is the list
``start length start length ...`` of its runs, and an empty mask is an empty string.
"""

import numpy as np

LONGEST_NUMBER = 30  # digits; Python reads no numbers of thousands of them


def encode(mask: np.ndarray) -> str:
    """Encode a boolean mask of shape (height, width)."""
    pixels = np.zeros(mask.size + 2, dtype=bool)
    pixels[1:-1] = mask.ravel(order="F")
    edges = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    edges[1::2] -= edges[::2]
    return " ".join(map(str, edges.tolist()))


def decode(text: str, shape: tuple[int, int]) -> np.ndarray:
    """Decode to a boolean mask of ``shape`` (height, width).

    Raises ValueError if the text is not a list of rising, disjoint runs inside the tile.
    """
    words = text.split()
    # isdecimal alone would let other scripts' digits pass, and int() underscores and signs.
    if not all(word.isascii() and word.isdecimal() for word in words):
        raise ValueError("expected whole numbers only")
    if any(len(word) > LONGEST_NUMBER for word in words):
        raise ValueError(f"expected numbers of at most {LONGEST_NUMBER} digits")
    if len(words) % 2:
        raise ValueError(f"expected pairs of start and length, found {len(words)} numbers")
    mask = np.zeros(shape, dtype=bool).ravel()
    end = 0
    for start, length in zip(map(int, words[::2]), map(int, words[1::2]), strict=True):
        if start < 1 or length < 1 or start - 1 + length > mask.size:
            raise ValueError(f"run {start} {length} is outside the tile's {mask.size} pixels")
        if start <= end:
            raise ValueError(f"run {start} {length} begins before the previous one ends ({end})")
        end = start - 1 + length
        mask[start - 1 : end] = True
    return mask.reshape(shape, order="F")
