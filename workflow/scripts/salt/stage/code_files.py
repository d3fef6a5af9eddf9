"""Which files of this project a script really uses, and what of them counts as its code."""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml


def local_files(script: Path) -> list[Path]:
    """Return the script, then every local module that it imports, directly or not, sorted.

    Also by ``import_module`` of a name that is written out.
    """
    folder, found, waiting = script.parent, [], [script]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        found.append(file)
        for name in _imported_names(file):
            waiting.extend(_files_of(folder, name))
    return [script, *sorted(found[1:])]


@cache
def behaviour(file: Path) -> str:
    """Return a digest, 16 hexadecimal digits, of what a file does.

    Of Python, comments, docstrings and layout do not count; of YAML, comments and layout. Any other
    file counts byte by byte.
    """
    if file.suffix == ".py":
        text = "\n".join(_shape(ast.parse(file.read_text())))
    elif file.suffix == ".yaml":
        text = repr(yaml.safe_load(file.read_text()))
    else:
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _shape(node: object) -> Iterator[str]:
    """Yield a syntax tree's nodes and values, without docstrings.

    Not ast.dump, whose form differs between versions of Python.
    """
    if isinstance(node, ast.AST):
        yield f"({type(node).__name__}"
        for name, value in ast.iter_fields(node):
            if name == "body" and _has_docstring(node):
                value = value[1:]
            # Empty fields are left out: newer versions of Python have more of them.
            if value is not None and value != []:
                yield name
                yield from _shape(value)
        yield ")"
    elif isinstance(node, list):
        yield "["
        for each in node:
            yield from _shape(each)
        yield "]"
    else:
        yield repr(node)


def _has_docstring(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None


@cache
def _imported_names(file: Path) -> list[str]:
    """Return the names that a file imports; parsed once, since most stages share most modules."""
    nodes = ast.walk(ast.parse(file.read_text()))
    return [name for node in nodes for name in _names_of(node)]


def _names_of(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "import_module":
        return [each.value for each in node.args if isinstance(each, ast.Constant)]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def _files_of(folder: Path, name: str) -> list[Path]:
    """Return the module's file and the packages on the way to it, as far as they are local."""
    parts = name.split(".")
    candidates = [folder.joinpath(*parts).with_suffix(".py")]
    candidates += [folder.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    return [file for file in candidates if file.is_file()]
