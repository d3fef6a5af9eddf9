"""Keys that a configuration file gives twice."""

import pytest

from engine.given import doubled_keys


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
