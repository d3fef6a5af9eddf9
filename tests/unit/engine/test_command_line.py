"""What --config sets."""

import pytest

from engine.command_line import typed


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("training={epochs: 3}", {"training": {"epochs": 3}}),
        ("training={'epochs': 3, 'learning_rate': 1e-3}",
         {"training": {"epochs": 3, "learning_rate": 0.001}}),
        ("validation={'groups': None}", {"validation": {"groups": None}}),
        ("validation={groups: null, stratified: false}",
         {"validation": {"groups": None, "stratified": False}}),
        ("ensemble={seeds: [0, 1]}", {"ensemble": {"seeds": [0, 1]}}),
        ("data={source: 'a=b.zip'}", {"data": {"source": "a=b.zip"}}),
        ("data={demo: {tiles: 48}}", {"data": {"demo": {"tiles": 48}}}),
        ('data={source: "12"}', {"data": {"source": "12"}}),
    ],
)  # fmt: skip
def test_values_have_the_types_of_a_file(entry, expected):
    assert list(typed([entry])) == [expected]


@pytest.mark.parametrize("entry", ["training=3", "training={epochs: 3", "training", "a=", "=b"])
def test_what_sets_no_section_is_left_to_the_schema(entry):
    assert list(typed([entry])) == []


def test_without_the_option_nothing_is_set():
    assert list(typed(None)) == []


def test_each_entry_of_a_section_counts():
    assert list(typed(["a={b: 1}", "a={c: 2}"])) == [{"a": {"b": 1}}, {"a": {"c": 2}}]
