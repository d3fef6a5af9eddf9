"""The files a script uses, compared with Python's own imports, and their behaviour digests."""

import numpy
import pytest

from saltseg.stage.code_files import behaviour, installed_version, local_files, packages
from support.imports import SCRIPTS, STAGES, real_imports


@pytest.fixture(scope="module")
def imported():
    return real_imports()


@pytest.mark.parametrize("script", STAGES, ids=lambda path: path.name)
def test_local_files_are_those_that_python_imports(script, imported):
    files = local_files(script)
    assert files[0] == script
    found, loaded = {str(file) for file in files[1:]}, set(imported[script.name])
    # A stage depends on the values of its settings, not on their declarations, nor on its log.
    assert found <= loaded
    assert loaded - found <= set(imported["uncounted"])
    assert not [file for file in found if "/saltseg/settings/" in file or "/saltseg/stage/" in file]
    assert len(files) == len(set(files))


def test_every_stage_was_checked(imported):
    assert len(STAGES) >= 11
    assert set(imported) == {"uncounted", *(path.name for path in STAGES)}
    for files in imported.values():
        assert str(SCRIPTS / "saltseg/__init__.py") in files


@pytest.fixture
def project(tmp_path):
    """Files of a synthetic project, by name."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.mark.parametrize(
    "statement",
    [
        "import pack.one",
        "import pack.one as other",
        "import json, pack.one",
        "from pack import one",
        "from pack import one as other",
        "from pack.one import thing",
        "def late():\n    from pack import one",
        "try:\n    import pack.one\nexcept ImportError:\n    pass",
    ],
)
def test_every_way_to_import_is_followed(project, statement):
    folder = project(stage=statement, pack__one="thing = 1", pack__two="")
    (folder / "pack/__init__.py").write_text("")
    found = [str(file.relative_to(folder)) for file in local_files(folder / "stage.py")]
    assert found == ["stage.py", "pack/__init__.py", "pack/one.py"]


def test_the_packages_that_a_stage_computes_with_are_found(project):
    late = "def late():\n    import scipy.fft\n    import tqdm"
    folder = project(stage="import json, a", a=f"from PIL import Image\nimport yaml\n{late}")
    assert {"pillow", "scipy"} == {*packages(local_files(folder / "stage.py"))} - {"a"}
    assert installed_version("numpy") == numpy.__version__
    assert installed_version("no-such-package") is None


CODE = '''"""The module."""

import math


class Shape:
    """A shape."""

    corners: int = 0

    def area(self, side: float = 2) -> float:
        """Return an area."""
        total: list[int] = []
        assert total == [], "not empty"
        parser.add_input("tiles", "labelled tiles")
        parser.add_argument("--seed", type=int, help="a seed")
        if side < 0:
            raise ValueError(f"negative: {side}")
        logging.info("side %f", side)
        return math.pi * side  # not yet


async def wait():
    """Wait."""
'''


def digest(folder, text, suffix=".py"):
    # A new name each time, since digests are cached by file.
    path = folder / f"{len(list(folder.iterdir()))}{suffix}"
    path.write_text(text)
    return behaviour(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""The module."""', '"""Something else."""'),
        ('"""The module."""', ""),
        ('"""A shape."""', '"""Another shape."""'),
        ('"""Return an area."""', "'''Return\n        an area'''"),
        ('"""Wait."""', '"""Wait for long."""'),
        ("  # not yet", ""),
        ("import math", "# For pi.\n\n\nimport math"),
        ("math.pi * side", "(math.pi\n            * side)"),
        ("side: float = 2", "side: int = 2"),
        (" -> float", ""),
        ("corners: int", "corners: float"),
        ("total: list[int]", "total: list[float]"),
        ('"not empty"', '"not an empty list"'),
        ('"labelled tiles"', '"tiles with masks"'),
        ('help="a seed"', 'help="its seed"'),
        ('f"negative: {side}"', '"negative"'),
        ('"side %f", side', '"a side"'),
    ],
)
def test_what_changes_no_result_does_not_count(tmp_path, old, new):
    assert CODE.count(old) == 1
    assert digest(tmp_path, CODE.replace(old, new)) == digest(tmp_path, CODE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("math.pi", "math.e"),
        ("side: float = 2", "side: float = 2.0"),
        ("corners: int", "corners: ClassVar[int]"),
        ("corners: int", "corners"),
        ('"tiles"', '"tile"'),
        ("type=int", "type=float"),
        ("ValueError", "KeyError"),
        ("side < 0", "side <= 0"),
        ("async def", "def"),
        ("class Shape", "class Form"),
        ("return math.pi", '"""No docstring."""\n        return math.pi'),
        ("import math\n", 'import math\n\n"""Nor this."""\n'),
        ("return math.pi * side", "side = math.pi * side\n        return side"),
    ],
)
def test_whatever_else_changes_counts(tmp_path, old, new):
    assert CODE.count(old) == 1
    assert digest(tmp_path, CODE.replace(old, new)) != digest(tmp_path, CODE)


def test_pins_count_without_comments_and_other_files_byte_by_byte(tmp_path):
    pins = "dependencies:\n  - python =3.11\n"
    assert digest(tmp_path, pins, ".yaml") == digest(tmp_path, f"# Pins.\n{pins}", ".yaml")
    assert digest(tmp_path, pins, ".yaml") != digest(tmp_path, f"{pins}  - numpy\n", ".yaml")
    assert digest(tmp_path, "a {}", ".css") != digest(tmp_path, "a  {}", ".css")


def users(module):
    """Return the stages whose behaviour a module is part of."""
    return {script.stem for script in STAGES if SCRIPTS / module in local_files(script)}


def test_a_stage_depends_on_nothing_that_it_does_not_use():
    importing = {"import_train", "import_test", "predict"}
    assert users("saltseg/survey/decoding.py") == {*importing, "import_lines"}
    assert users("saltseg/survey/source.py") == {*importing, "import_lines", "download", "submit"}
    for module in ("ensemble/predictions", "output/submission", "evaluation/threshold"):
        assert "train" not in users(f"saltseg/{module}.py")
    for module in ("ensemble/pseudo_labels", "training/losses"):
        assert "train" in users(f"saltseg/{module}.py")
