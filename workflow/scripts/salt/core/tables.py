"""Reading the CSV tables that stages hand to each other."""

import io
from pathlib import Path

import pandas as pd

from salt.core import checksums
from salt.core.errors import InputError


def read_csv(path: Path | str, remedy: str, what: str = "table", **options) -> pd.DataFrame:
    """Return a checked table, read by ``pandas.read_csv`` with ``options``.

    Raises InputError, with the remedy, if it is damaged or not readable.
    """
    try:
        return pd.read_csv(io.BytesIO(checksums.read(path)), **options)
    except checksums.DamagedError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not a readable {what} ({str(error).strip()}); {remedy}"
        ) from None
