"""Find the files of this project that a script uses, and digest what they do."""

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of statements
LEVELS = ("debug", "info", "warning", "error", "exception")
# Packages by the names of their modules, where these differ, and those that change no result.
PACKAGES = {"PIL": "pillow", "yaml": "pyyaml"}
NEUTRAL = {"pyyaml", "tqdm", "tensorboard"}
LOGGING = {f"{logger}.{level}" for logger in ("logging", "logger") for level in LEVELS}


def local_files(script: Path) -> list[Path]:
    """Return the script, then every local module that it imports, directly or not, sorted.

    Imports by ``import_module`` are followed if the name is a literal. saltseg.settings is left
    out: rules compare the values that a stage is given.
    """
    found, waiting = set(), [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imported_files(script.parent, file))
    return [script, *sorted(found - {script})]


def packages(files: list[Path]) -> list[str]:
    """Return the packages of others that files import and compute with, sorted."""
    modules = {name.partition(".")[0] for file in files for name in _imported_names(file)}
    return sorted(
        {PACKAGES.get(name, name) for name in modules - sys.stdlib_module_names} - NEUTRAL
    )


@cache
def installed_version(package: str) -> str | None:
    """Return the version of a package that is installed; None if it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def behaviour(file: Path) -> str:
    """Return a digest, 16 hexadecimal digits, of what a file computes.

    Comments, docstrings, annotations of functions, the arguments of raised errors, logging and
    layout of Python, and comments and layout of YAML, make no difference; of any other file, each
    byte does.
    """
    if file.suffix == ".py":
        tree = _tree(file)
        _strip(tree)
        text = ast.unparse(tree)
    elif file.suffix == ".yaml":
        text = repr(yaml.safe_load(file.read_text()))
    else:
        text = file.read_bytes().hex()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Each start of Snakemake reads every stage's modules, most of which are shared.
@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _strip(node: ast.AST) -> None:
    """Remove from the statements below a node what changes no result."""
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        del node.body[0]
    if isinstance(node, FUNCTIONS):
        node.returns = None
        every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        for argument in [*every, node.args.vararg, node.args.kwarg]:
            if argument:
                argument.annotation = None
    raised = node.exc if isinstance(node, ast.Raise) else None
    if isinstance(raised, ast.Call) and _name_called(raised).endswith("Error"):
        raised.args, raised.keywords = [], []
    for name in BLOCKS:
        statements = getattr(node, name, [])
        for index, each in enumerate(statements):
            _strip(each)
            if isinstance(each, ast.Expr) and _name_called(each.value) in LOGGING:
                statements[index] = ast.Pass()


def _name_called(node: ast.AST | None) -> str:
    """Return the name of what an expression calls, such as ``logging.info``; empty if none."""
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return f"{called.value.id}.{called.attr}"
    return called.id if isinstance(called, ast.Name) else ""


@cache
def _imported_files(folder: Path, file: Path) -> set[Path]:
    """Return the local files that a file imports itself."""
    return {found for name in _imported_names(file) for found in _files_of(folder, name)}


@cache
def _imported_names(file: Path) -> set[str]:
    """Return the dotted names that a file imports, or that may be attributes of what it imports."""
    tree = _tree(file)
    # Calls are everywhere and slow to look for.
    nodes = ast.walk(tree) if "import_module" in file.read_text() else _statements(tree)
    return {name for node in nodes for name in _names_of(node)}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements below a node, at any depth; their expressions only as part of them."""
    for name in BLOCKS:
        for each in getattr(node, name, ()):
            yield each
            yield from _statements(each)


def _names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "import_module":
        return [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


@cache
def _files_of(folder: Path, name: str) -> list[Path]:
    """Return the module's file and the packages on the way to it, as far as they are local."""
    parts = name.split(".")
    if parts[:2] == ["saltseg", "settings"]:
        return []
    # Most names are of other packages, or of what a module holds.
    if not (folder / parts[0]).is_dir() and not (folder / f"{parts[0]}.py").is_file():
        return []
    candidates = [folder.joinpath(*parts).with_suffix(".py")]
    candidates += [folder.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    return [file for file in candidates if file.is_file()]
