"""The documentation agrees with the project."""

import re
from pathlib import Path

import numpy as np
import pytest

from engine.config_files import generated
from saltseg.survey.import_test import import_test
from saltseg.survey.import_train import import_train
from saltseg.survey.source import Source

ROOT = Path(__file__).parents[2]


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


DOCUMENTS = [ROOT / "CONTRIBUTING.md", ROOT / "README.md"]
for folder in ("benchmarks", "config", "docs", "profiles"):
    DOCUMENTS += (ROOT / folder).glob("*.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(document):
    for link in re.findall(r"\]\((?!http)([^)\s]+)\)", document.read_text()):
        name, _, heading = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), link
        assert not heading or heading in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_names_a_target_and_a_configuration_that_exist(document):
    code = " ".join(re.findall(r"```.*?```|`[^`]+`", document.read_text(), re.DOTALL))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z][a-z-]*)", code)) <= set(targets)
    for name in re.findall(r"\bconfig/[a-z][\w-]*\.yaml", code):
        assert (ROOT / name).exists(), name


def test_defaults_and_tables_of_keys_are_as_the_schema_has_them():
    for path, text in generated().items():
        assert path.read_text() == text, f"{path}: run `make config`"


def test_every_message_in_the_troubleshooting_exists():
    """Check the parts of each message between dots; messages of Snakemake itself are marked."""
    folders = (ROOT / "workflow", ROOT / "Snakefile")
    files = [file for folder in folders for file in [folder, *folder.rglob("*")] if file.is_file()]
    said = "".join(file.read_text() for file in files if file.suffix not in (".pyc", ".svg"))
    # Join string literals across lines.
    said = re.sub(r'"\s*\n\s*f?"', "", said)
    said = re.sub(r"\s+", " ", said)
    rows = re.findall(
        r"^\| (`.*?) \| (.*)\|$", (ROOT / "docs/troubleshooting.md").read_text(), re.M
    )
    assert len(rows) > 25
    for messages, mend in rows:
        for message in re.findall(r"`([^`]+)`", messages):
            for part in message.split("..."):
                assert part.strip() in said or "Snakemake's own" in mend, message


def test_a_survey_written_as_the_docs_say_is_imported_as_it_was(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs/own-tiles.md").read_text(), re.DOTALL)
    names = {}
    exec(code.group(1), names)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (5, 20, 30), dtype=np.uint8)
    masks = random.random((5, 20, 30)) < np.array([0, 0.2, 0.5, 0.9, 1])[:, None, None]
    tested = random.integers(0, 256, (2, 20, 30), dtype=np.uint8)
    names["write_survey"](tmp_path / "own", images, masks, range(5), tested, [7, 8])
    with Source(tmp_path / "own") as source:
        table, found, found_masks = import_train(source)
        order = [int(name.removeprefix("train-")) for name in table["id"]]
        assert (found == images[order]).all() and (found_masks == masks[order]).all()
        table, found = import_test(source)
    assert table["id"].tolist() == ["test-0", "test-1"] and (found == tested).all()
    assert table["depth"].tolist() == [7, 8]
