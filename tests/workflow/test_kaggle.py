"""Download from and submission to the contest's site, with a fake client."""

import base64
import json
import os
import shlex
import shutil
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from saltseg.core.errors import InputError
from saltseg.core.sealed_json import write_sealed
from saltseg.survey import kaggle
from saltseg.survey.kaggle import CONTEST, TEST_TILES
from saltseg.survey.tiles import Tiles
from support.running import complete, copy_project, planned, snakemake, with_config

pytestmark = pytest.mark.slow

USER, KEY, TOKEN = "salty", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "KGAT_a/b+c=7d9e"
BASIC = base64.b64encode(f"{USER}:{KEY}".encode()).decode()
SIGNATURE = "b64-of-a-signed-address"
SECRETS = (KEY, TOKEN, quote(TOKEN, safe=""), BASIC, SIGNATURE, "proxypass")
THRESHOLD = {
    "threshold": 0.4375,
    "score": 0.72166,
    "honest": True,
    "selected": False,
    "tuned_on": "the other folds",
    "tiles_scored": 1280,
    "tiles": 3200,
    "members": {"0": 1, "1": 1},
}
MESSAGE = "score 0.7217 over 1280 of 3200 labelled tiles, threshold 0.4375, members 0,1"

# Prints everything it knows, as a failing client may, then acts as its file 'mode' says.
# Through a shell, since a program's first line cannot name a path with spaces or quotes.
STAND_IN = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import base64, json, os, shutil, sys
from pathlib import Path
from urllib.parse import quote

here = Path(__file__).parent
with open(here / "calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
known = [os.environ.get(name, "") for name in ("KAGGLE_KEY", "KAGGLE_API_TOKEN")]
for name in ("kaggle.json", "access_token"):
    for folder in (os.environ.get("KAGGLE_CONFIG_DIR", "none"), Path.home() / ".kaggle"):
        if (Path(folder) / name).exists():
            known.append((Path(folder) / name).read_text())
known += [quote(text, safe="") for text in known]
user, key = (os.environ.get(name, "") for name in ("KAGGLE_USERNAME", "KAGGLE_KEY"))
print("Authorization: Basic", base64.b64encode(f"{{user}}:{{key}}".encode()).decode())
print("DEBUG", *known, file=sys.stderr, flush=True)
print("GET /data?GoogleAccessId=x&Signature={signature} via http://me:proxypass@proxy:80/")
print("".join(f"\\r{{percent}}% of the zip" for percent in range(101)))

mode = (here / "mode").read_text()
if mode.isdigit():
    print({answers}[mode])
    sys.exit(1)
options = dict(zip(sys.argv[3:-1:2], sys.argv[4::2]))
if sys.argv[2] == "submit":
    print("Successfully submitted to TGS Salt" if mode == "good" else "Could not submit")
elif mode == "broken":
    (Path(options["-p"]) / "contest.zip").write_bytes((here / "zip").read_bytes()[:200])
elif mode == "cut":
    (Path(options["-p"]) / "contest.zip").write_bytes((here / "zip").read_bytes()[:-40])
elif mode == "altered":
    data = bytearray((here / "zip").read_bytes())
    data[200] ^= 255
    (Path(options["-p"]) / "contest.zip").write_bytes(data)
elif mode == "good":
    os.utime(here / "zip", (1.5e9, 1.5e9))
    shutil.copy2(here / "zip", Path(options["-p"]) / "contest.zip")
"""
ANSWERS = {
    "401": "401 Client Error: Unauthorized for url: https://www.kaggle.com/api",
    "402": "Authentication required to call the Kaggle API.",  # how 2.2 tells a 401
    "403": "403 - Forbidden - You must accept this competition's rules",
    "404": "Permission 'competitions.participate' was denied",  # and a 403
    "500": "500 Server Error: Internal Server Error",
}


class Client:
    """The fake client: its behaviour, and the calls it received."""

    def __init__(self, folder: Path, archive: Path):
        self.folder = folder
        shutil.copy(archive, folder / "zip")
        program = folder / "kaggle"
        program.write_text(
            STAND_IN.format(
                python=shlex.quote(sys.executable), signature=SIGNATURE, answers=ANSWERS
            )
        )
        program.chmod(0o755)
        self.does("good")

    def does(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.fixture
def client(tmp_path, monkeypatch, survey) -> Client:
    """A fake client first on PATH, and a user without credentials."""
    for name in os.environ:
        if name.startswith("KAGGLE_") or name == "XDG_CONFIG_HOME":
            monkeypatch.delenv(name)
    for name in ("home", "bin", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path / "bin"), "/usr/bin", "/bin"]))
    return Client(tmp_path / "bin", survey.write(tmp_path / "survey", "nested zip"))


@pytest.fixture
def key(client, monkeypatch) -> Client:
    """The fake client, and credentials in the environment."""
    monkeypatch.setenv("KAGGLE_USERNAME", USER)
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    return client


@pytest.fixture
def alone():
    """Skip if a real client is installed with Snakemake, which puts its programs first on PATH."""
    if (Path(sys.executable).parent / "kaggle").exists():
        pytest.skip("a real client would be called")


@pytest.fixture
def submission(tmp_path) -> Path:
    """A submission.csv in a results folder, with threshold.json beside it."""
    folder = tmp_path / "run/results"
    folder.mkdir()
    rows = (f"{number:010x},1 5\n" for number in range(TEST_TILES))
    (folder / "submission.csv").write_text("id,rle_mask\n" + "".join(rows))
    write_sealed(folder / "threshold.json", THRESHOLD)
    return folder / "submission.csv"


def assert_no_secret(folder: Path, *texts: str) -> None:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    for place, text in [
        *((file, file.read_bytes().decode(errors="replace")) for file in files),
        *((f"text {number}", text) for number, text in enumerate(texts)),
    ]:
        for secret in SECRETS:
            assert secret not in text, place


LOGIN = json.dumps({"username": USER, "key": KEY})


@pytest.mark.parametrize(
    ("variable", "value", "file", "text"),
    [
        ("KAGGLE_API_TOKEN", TOKEN, None, None),
        ("KAGGLE_API_TOKEN", "token", "token", f"{TOKEN}\n"),
        ("KAGGLE_CONFIG_DIR", "other", "other/kaggle.json", LOGIN),
        ("XDG_CONFIG_HOME", "other", "other/kaggle/kaggle.json", LOGIN),
        (None, None, "home/.kaggle/access_token", TOKEN),
        (None, None, "home/.kaggle/kaggle.json", LOGIN),
        (None, None, "home/.config/kaggle/kaggle.json", LOGIN),
        (None, None, "home/.kaggle/credentials.json", json.dumps({"refresh_token": TOKEN})),
    ],
)
def test_credentials_are_found_and_hidden_wherever_the_client_looks(
    variable, value, file, text, client, tmp_path, monkeypatch
):
    if file:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / value) if file else value)
    lines = kaggle.download(tmp_path / "contest.zip")
    assert (tmp_path / "contest.zip").exists()
    assert kaggle._credentials()[1] & {KEY, TOKEN}
    for secret in SECRETS:
        assert not any(secret in line for line in lines)


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("401", r"\(401\); create a new token on https://www.kaggle.com/settings(?s:.)*401 Clie"),
        ("402", r"\(401\); create a new token(?s:.)*Authentication required"),
        ("403", rf"\(403\); accept the contest's rules on .*/{CONTEST}/rules(?s:.)*403 - Forb"),
        ("404", r"\(403\); accept the contest's rules(?s:.)*competitions.participate"),
        ("500", r"failed with status 1; check that this machine(?s:.)*500 Server Error"),
        ("broken", "expected a zip, found contest.zip of .* bytes, not readable"),
        ("cut", "contest.zip contains no train.csv; download it again"),
        ("altered", "contest.zip is damaged; download it again"),
        ("nothing", "expected to receive one zip, found nothing; download it from https"),
    ],
)
def test_a_failed_download_says_why_and_changes_no_file(mode, message, key, tmp_path):
    path = tmp_path / "data/contest.zip"
    path.parent.mkdir()
    path.write_bytes(b"of yesterday")
    key.does(mode)
    with pytest.raises(InputError, match=message) as error:
        kaggle.download(path)
    assert not any(secret in str(error.value) for secret in SECRETS)
    assert list(path.parent.iterdir()) == [path] and path.read_bytes() == b"of yesterday"


def test_a_missing_client_is_named_with_the_way_to_get_it(key, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "run"))
    with pytest.raises(InputError, match=r"no such program on PATH; .*'pip install kaggle'"):
        kaggle.download(tmp_path / "contest.zip")


def test_missing_credentials_are_reported_with_every_place(client, tmp_path, monkeypatch):
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "other"))
    with pytest.raises(InputError, match="found no credentials") as error:
        kaggle.download(tmp_path / "contest.zip")
    for place in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "kaggle.json"):
        assert place in str(error.value)
    for place in ("other", "home/.kaggle", "home/.config/kaggle"):
        assert str(tmp_path / place) in str(error.value)
    assert "https://www.kaggle.com/settings/api" in str(error.value)
    assert client.calls() == []


def test_a_client_that_only_seems_to_submit_is_not_believed(key, submission):
    key.does("nothing")
    expected = "expected the answer 'successfully submitted', found another"
    with pytest.raises(InputError, match=rf"{expected}(?s:.)*{CONTEST}/submissions") as error:
        kaggle.submit(submission, "hello")
    assert "  Could not submit\n" in f"{error.value}\n"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: "", "not a readable submission .*; write it again"),
        (lambda text: text.replace("rle_mask", "mask"), "columns id,rle_mask, found id,mask"),
        (lambda text: text[:12], "expected the contest's 18000 test tiles, found 0 rows"),
        (lambda text: text[:100], "found 6 rows; only predictions of the contest's own tiles"),
        (lambda text: text.replace("0000000005", "0000000006"), "an id is empty or duplicated"),
        (lambda text: text.replace("0000000005", ""), "an id is empty or duplicated"),
    ],
)
def test_what_is_no_submission_is_not_sent(spoil, message, key, submission):
    submission.write_text(spoil(submission.read_text()))
    with pytest.raises(InputError, match=message):
        kaggle.submit(submission, "hello")
    assert key.calls() == []


def test_only_data_source_kaggle_plans_a_download_and_nothing_plans_to_submit(tmp_path):
    fetched = planned(tmp_path, config=with_config(tmp_path, {"data": {"source": "kaggle"}}))
    made = planned(tmp_path)
    assert fetched.pop("download") == 1 and made.pop("demo") == 1
    assert fetched == made and "import_train" in made
    assert "submit" not in made and "download" not in made


def test_the_workflow_downloads_once_and_imports_the_download(key, alone, tmp_path):
    folder, project = tmp_path / "run", copy_project(tmp_path / "project")
    targets = ("results/data/train.h5", "results/data/test.h5")
    run = {
        "config": with_config(tmp_path, {"data": {"source": "kaggle"}}),
        "snakefile": project / "Snakefile",
    }
    text = complete(folder, "--", *targets, **run)
    with zipfile.ZipFile(folder / f"results/kaggle/{CONTEST}.zip") as archive:
        assert "train.csv" in archive.namelist()
    assert len(Tiles(folder / targets[0]).ids) == 4
    log = (folder / "results/logs/download.log").read_text()
    assert "DEBUG ***" in log
    assert_no_secret(folder, text)

    # A change to the downloading code does not change the contest's zip.
    with open(project / "workflow/scripts/saltseg/survey/kaggle.py", "a") as file:
        file.write("# changed\n")
    assert "Nothing to be done" in complete(folder, "--", *targets, **run)
    assert len(key.calls()) == 1


def test_the_workflow_submits_once(key, alone, tmp_path, submission):
    folder, record = tmp_path / "run", submission.with_name("submitted.txt")
    # The submission is written by hand; no other rule may rebuild it.
    only = ("--allowed-rules", "submit", "--", "submit")
    texts = [complete(folder, *only)]
    first = record.read_text()
    assert kaggle.check_submission(submission) in first
    assert f"message  {MESSAGE}\n" in first and "answer   Successfully submitted" in first
    file = key.calls()[0][5]
    sent = ["competitions", "submit", "-c", CONTEST, "-f", file, "-m", MESSAGE, "-q"]
    assert key.calls() == [sent] and (folder / file).samefile(submission)

    texts += [complete(folder, *only)]
    assert "Nothing to be done" in texts[-1]
    texts += [complete(folder, "--forcerun", "submit", *only)]
    assert len(key.calls()) == 1 and record.read_text() == first

    submission.write_text(submission.read_text().replace(",1 5\n", ",1 6\n"))
    key.does("403")
    failed = snakemake(folder, *only)
    texts += [failed.stdout + failed.stderr]
    assert failed.returncode == 1 and "accept the contest's rules" in texts[-1]
    assert len(key.calls()) == 2 and record.read_text() == first
    assert_no_secret(folder, *texts)
