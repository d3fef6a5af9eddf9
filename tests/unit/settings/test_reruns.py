"""What the tables say that a change of a key reruns, compared with the settings of each rule."""

import ast
import re
from contextlib import suppress

import pytest

from saltseg.settings.check import complete, unread_keys
from saltseg.settings.schema import keys
from support.running import rule_texts

KEYS = dict(keys())
# What reruns if a rule is the first whose settings change, in the order of the rules.
FIRST = {
    "demo": "everything",
    "demo_volume": "everything",
    "scan_volume": "everything",
    "import_volume": "everything",
    "split": "folds and later stages",
    "import_lines": "labelled lines and later stages",
    "train": "members and later stages",
    "pseudo_labels": "pseudo-labels and later stages",
    "predict_validation": "predictions and later stages",
    "predict_test": "test predictions and later stages",
    "predict_lines": "predictions of volumes",
    "predict_volume": "predictions of volumes",
    "threshold": "the threshold and later stages",
    "calibrate": "scores of lines and later stages",
    "score_lines": "scores of lines and later stages",
    "merge_volume": "probabilities of the volume and later stages",
    "mask_volume": "masks and surfaces",
}
# Keys that no rule reads as settings: they decide which jobs and files there are.
OF_NO_RULE = {
    *("data.source", "data.labels", "data.surveys", "validation.groups", "self_training.rounds"),
    *("ensemble.seeds", "ensemble.members", "ensemble.runs", "experiments", "training.start"),
    *("training.encoder_weights", "training.tensorboard", "predict.source", "predict.run"),
}


def read_by_rules() -> dict[str, set[str]]:
    """Return the keys that each rule names in settings(...)."""
    found: dict[str, set[str]] = {}
    for text in rule_texts():
        name = text.partition(":")[0]
        tree = call_of_settings(text)
        ignoring = {each for word in tree.keywords for each in texts(word)}
        named = {each for argument in tree.args for each in texts(argument)}
        chosen = {key for key in KEYS if any(f"{key}.".startswith(f"{each}.") for each in named)}
        assert all(any(f"{key}.".startswith(f"{each}.") for key in KEYS) for each in named)
        found[name] = chosen - ignoring
    return found


def call_of_settings(rule: str) -> ast.Call:
    """Return the call that begins after settings=; it ends where it can be parsed."""
    start = rule.find("settings(")
    for end in re.finditer(r"\)", rule[start:]):
        with suppress(SyntaxError):
            return ast.parse(rule[start : start + end.end()], mode="eval").body
    return ast.parse("settings()", mode="eval").body


def texts(tree: ast.AST) -> list[str]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node.value for node in nodes]


READ = read_by_rules()


def test_the_rules_are_found():
    assert READ["pseudo_labels"] == {"self_training.share"}
    assert "training.epochs" in READ["train"]
    assert {rule for rule, read in READ.items() if read} == {
        *FIRST,
        "adopt",
        "check_kind",
        "export",
        "predict",
        "score_surveys",
    }


@pytest.mark.parametrize("key", KEYS)
def test_a_key_reruns_the_rules_that_read_it(key):
    readers = [rule for rule in FIRST if key in READ[rule]]
    assert bool(readers) == (key not in OF_NO_RULE)
    if readers:
        # What follows says under which conditions.
        assert re.split("[,;]", KEYS[key]["x-reruns"])[0] == FIRST[readers[0]]


def test_keys_without_a_meaning_reach_no_stage():
    config = complete({}).model_dump()
    assert unread_keys(config, volume=False) == {
        "training.windows_per_epoch",
        "training.late_from",
        "validation.group_column",
    }
    config["training"]["late_loss"], config["validation"]["groups"] = "lovasz", "groups.csv"
    assert unread_keys(config, volume=True) == {"training.passes_per_epoch"}
