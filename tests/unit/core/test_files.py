"""Files are replaced whole or not at all."""

from pathlib import Path

import pytest

from saltseg.core.files import replacing


class KilledError(BaseException):
    pass


@pytest.mark.parametrize("method", ["replace", "unlink"])
@pytest.mark.parametrize("count", range(4))
def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one(
    tmp_path, monkeypatch, method, count
):
    path = tmp_path / "folds.csv"
    path.write_text("old")
    left, real = [count], getattr(Path, method)

    def kill(self, *args, **kwargs):
        if not left[0]:
            raise KilledError
        left[0] -= 1
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Path, method, kill)
    try:
        with replacing(path) as part:
            part.write_text("new")
    except KilledError:
        pass
    monkeypatch.undo()
    assert path.read_text() in ("old", "new")
    with replacing(path) as part:
        part.write_text("last")
    assert path.read_text() == "last"
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*.part"))


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("new")
        1 / 0  # noqa: B018
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]
