"""Salt segmentation of seismic tiles; knows nothing of the workflow that calls it.

``load_run`` predicts arrays with a finished run: docs/python.md.
"""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    # Late, and not as import_module, which a stage's code is found by: most need no PyTorch.
    if name == "load_run":
        return importlib.import_module("saltseg.inference.run").load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
