"""The one reader and writer of CSV tables."""

import io
from pathlib import Path
from typing import Any

import pandas as pd

from saltseg.core.errors import InputError
from saltseg.core.files import replacing

# Options for a table of texts, in which "NA" and empty fields are texts like any other.
TEXTS: dict[str, Any] = {"dtype": str, "keep_default_na": False}


def write_csv(table: pd.DataFrame, path: Path | str) -> None:
    """Write a table; InputError for lack of disk space or permission."""
    with replacing(path) as part:
        table.to_csv(part, index=False)


def read_csv(path: Path | str, remedy: str, what: str = "table", **options) -> pd.DataFrame:
    """Return a table, read by ``pandas.read_csv`` with ``options``.

    Raises InputError, with the remedy, if it is damaged or not readable.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error, remedy, what) from None
    return parse_csv(data, path, remedy, what, **options)


def parse_csv(
    data: bytes, name: Path | str, remedy: str = "", what: str = "table", **options
) -> pd.DataFrame:
    """Return the table that a file holds, as ``read_csv`` does; ``name`` is the file's.

    Raises InputError, with the remedy if there is one, if it is not readable.
    """
    try:
        return pd.read_csv(io.BytesIO(data), **options)
    except ValueError as error:
        raise unreadable(name, error, remedy, what) from None


def unreadable(name: Path | str, error: Exception, remedy: str, what: str) -> InputError:
    end = f"; {remedy}" if remedy else ""
    return InputError(f"{name}: not a readable {what} ({str(error).strip()}){end}")
