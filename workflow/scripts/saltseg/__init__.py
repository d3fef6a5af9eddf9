"""Salt segmentation of seismic tiles; knows nothing of the workflow that calls it.

``load_run`` predicts arrays with a finished run (docs/python.md); the others are for plugins
(docs/plugins.md).
"""

import importlib
from typing import Any

MODULES = {
    "load_run": "saltseg.inference.run",
    "add_loss": "saltseg.settings.plugins",
    "add_network": "saltseg.settings.plugins",
    "add_augmentation": "saltseg.settings.plugins",
}


def __getattr__(name: str) -> Any:
    # Late, so that stages neither import nor depend on what they do not use.
    if name in MODULES:
        return getattr(importlib.import_module(MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
