"""What --config sets, and what a configuration file says twice."""

import pytest

from engine.given import doubled_keys, typed


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: {c: 2}\n", []),
        ("a: {c: 1}\nb: {c: 1}\n", []),
        ("a:\n  c: 1\nb: 2\na:\n  d: 1\n", ["a is in line 1 and again in line 4"]),
        ("a:\n  b: 1\n  b: 2\n", ["a.b is in line 2 and again in line 3"]),
        ('{"a": {"b": 1,\n"b": 1}}', ["a.b is in line 1 and again in line 2"]),
        ("a: &x {b: 1}\nc: *x\nd: &y {e: *y}\n", []),
        ("", []),
        ("- a\n- a\n", []),
    ],
)
def test_a_key_that_a_file_gives_twice_is_named_with_its_lines(tmp_path, text, expected):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    found = list(doubled_keys(file))
    assert len(found) == len(expected)
    for message, part in zip(found, expected, strict=True):
        assert message.startswith(f"{file}: {part}")
