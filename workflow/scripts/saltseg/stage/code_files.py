"""Find the files of this project that a script uses, and digest what they do."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml


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


@cache
def behaviour(file: Path) -> str:
    """Return a digest, 16 hexadecimal digits, of what a file does.

    Comments, docstrings and layout of Python, and comments and layout of YAML, make no difference;
    of any other file, each byte does.
    """
    if file.suffix == ".py":
        parts: list[str] = []
        _add_shape(_tree(file), parts)
        text = "\n".join(parts)
    elif file.suffix == ".yaml":
        text = repr(yaml.safe_load(file.read_text()))
    else:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Each start of Snakemake reads every stage's modules, most of which are shared.
@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _add_shape(node: object, parts: list[str]) -> None:
    """Append a syntax tree's nodes and values to ``parts``, without docstrings.

    Not ast.dump, whose form differs between versions of Python.
    """
    if isinstance(node, ast.AST):
        parts.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if name == "body" and _has_docstring(node):
                value = value[1:]
            # Empty fields are left out: newer versions of Python have more of them.
            if value is not None and value != []:
                parts.append(name)
                _add_shape(value, parts)
        parts.append(")")
    elif isinstance(node, list):
        parts.append("[")
        for each in node:
            _add_shape(each, parts)
        parts.append("]")
    else:
        parts.append(repr(node))


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


@cache
def _imported_files(folder: Path, file: Path) -> set[Path]:
    """Return the local files that a file imports itself."""
    tree = _tree(file)
    # Calls are everywhere and slow to look for.
    nodes = ast.walk(tree) if "import_module" in file.read_text() else _statements(tree)
    names = {name for node in nodes for name in _names_of(node)}
    return {found for name in names for found in _files_of(folder, name)}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements below a node, at any depth; their expressions only as part of them."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for each in getattr(node, name, ()):
            yield each
            yield from _statements(each)


def _names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "import_module":
        return [each.value for each in node.args if isinstance(each, ast.Constant)]
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
