"""Find the files of this project that a script uses, and digest what they do."""

import ast
import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Packages by the names of their modules, where these differ, and those that change no result.
PACKAGES = {"PIL": "pillow", "yaml": "pyyaml"}
NEUTRAL = {"pyyaml", "tqdm", "tensorboard"}
# Rules compare the values that a stage is given, and how it is started and logs changes no result.
UNCOUNTED = (["saltseg", "settings"], ["saltseg", "stage"])
# Annotations that change what a class is.
MEANING = ("ClassVar", "InitVar", "KW_ONLY")


def local_files(script: Path) -> list[Path]:
    """Return the script, then every local module that it imports, directly or not, sorted.

    Imports by ``import_module`` are followed if the name is a literal. Packages that change no
    result are left out.
    """
    found, waiting = set(), [script]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [each for name in _read(file)[1] for each in _files_of(script.parent, name)]
    return [script, *sorted(found - {script})]


def packages(files: list[Path]) -> list[str]:
    """Return the packages of others that files import and compute with, sorted."""
    modules = {name.partition(".")[0] for file in files for name in _read(file)[1]}
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

    Comments, docstrings, annotations, the arguments of raised errors, logging, the help of a
    stage's arguments and layout of Python, and comments and layout of YAML, make no difference; of
    any other file, each byte does.
    """
    if file.suffix == ".py":
        text = _read(file)[0]
    elif file.suffix == ".yaml":
        text = repr(yaml.safe_load(file.read_text(encoding="utf-8")))
    else:
        text = file.read_bytes().hex()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Most modules are shared by stages.
@cache
def _read(file: Path) -> tuple[str, set[str]]:
    """Return a module's code without what changes no result, and the dotted names it imports.

    Some of these names may be attributes of what it imports.
    """
    tree, names = ast.parse(file.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                names.update(alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module)):
                names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
            case ast.Call(func=ast.Name("import_module"), args=[ast.Constant(str(name))]):
                names.add(name)
            case ast.arg():
                node.annotation = None
            case ast.AnnAssign() if not any(word in ast.unparse(node) for word in MEANING):
                node.annotation = ast.Constant(None)
            case ast.Assert():
                node.msg = None
            case ast.Call(func=ast.Attribute(attr="add_input" | "add_output")):
                del node.args[1:]
            case ast.Call(func=ast.Attribute(attr="add_argument")):
                node.keywords = [each for each in node.keywords if each.arg != "help"]
            case ast.Raise(exc=ast.Call(func=ast.Name(name) | ast.Attribute(attr=name)) as call):
                if name.endswith("Error"):
                    call.args, call.keywords = [], []
            case ast.Expr(ast.Call(func=ast.Attribute(ast.Name("logging" | "logger"), level))):
                if level in ("debug", "info", "warning", "error", "exception"):
                    node.value = ast.Constant(None)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return ast.unparse(tree), names


@cache
def _files_of(folder: Path, name: str) -> list[Path]:
    """Return the module's file and the packages on the way to it, as far as they are local."""
    parts = name.split(".")
    if parts[:2] in UNCOUNTED:
        return []
    candidates = [folder.joinpath(*parts).with_suffix(".py")]
    candidates += [folder.joinpath(*parts[: i + 1], "__init__.py") for i in range(len(parts))]
    return [file for file in candidates if file.is_file()]
