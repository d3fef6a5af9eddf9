"""Probabilities as they are stored: uint16, each to within 0.000008."""

import numpy as np

SCALE = 65534  # stands for a probability of 1
MISSING = 65535  # stands for a missing trace of a volume


def quantise(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities, float32 in [0, 1], of any shape as uint16, ``SCALE`` for 1.

    NaN is missing.
    """
    # A product in float32 would be rounded twice.
    values = np.rint(probabilities * np.float64(SCALE))
    return np.where(np.isnan(values), MISSING, values).astype(np.uint16)
