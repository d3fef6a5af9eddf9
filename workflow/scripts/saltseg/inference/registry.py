"""The runtimes that ``compute.runtime`` may name beside PyTorch.

A new one is a function of a network on the CPU and of a ``Compute``, which returns a network that
predicts the same, in a module of its own, and a line here. It is imported only where it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec


@dataclass(frozen=True)
class Runtime:
    """A runtime other than PyTorch.

    load: returns its function; the module's name is a literal, since the files that a stage depends
        on are found by reading its imports
    packages: what has to be installed for it
    """

    load: Callable[[], Callable]
    packages: tuple[str, ...]

    def missing(self) -> list[str]:
        return [name for name in self.packages if find_spec(name) is None]


RUNTIMES = {
    "openvino": Runtime(
        lambda: import_module("saltseg.inference.openvino_runtime").compile_openvino,
        ("openvino", "onnx"),
    ),
}
