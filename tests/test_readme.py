"""What the README promises is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_feature_of_the_original_has_a_test_that_is_there():
    table = README.split("## The original, feature by feature")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 20
    for row in rows:
        tests = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", row.split("|")[3])
        assert tests, f"no test in the row {row}"
        for file, name in tests:
            text = (ROOT / "tests" / file).read_text()
            assert not name or f"def {name}(" in text, f"{file} has no {name}"


def test_every_link_to_a_file_leads_somewhere():
    for document in (ROOT / "README.md", ROOT / "config/README.md", ROOT / "profiles/README.md"):
        for target in re.findall(r"\]\((?!http)([^)#]*)#?[^)]*\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document}: {target}"
