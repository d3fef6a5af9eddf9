"""Download from and submit to Kaggle, with its official client and the user's credentials.

The client runs as a subprocess. Its output is filtered, so that no credentials appear in logs.
"""

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from urllib.parse import quote

from saltseg.core.errors import InputError
from saltseg.core.files import replacing
from saltseg.core.tables import TEXTS, read_csv
from saltseg.survey.source import UNREADABLE

CONTEST = "tgs-salt-identification-challenge"
PAGE = f"https://www.kaggle.com/competitions/{CONTEST}"
TOKENS = "https://www.kaggle.com/settings/api"
TEST_TILES = 18_000
KEPT_LINES = 15  # last lines kept of the client's output

# Where the client's versions look: JSON, with only some entries secret, or a bare token.
JSON_FILES = ("kaggle.json", "credentials.json")
TOKEN_FILES = ("access_token", "access_token.txt")
ENTRY = re.compile(r'"(username|key|token|access_token|refresh_token)"\s*:\s*"([^"]+)"')
SECRET_VARIABLE = re.compile(r"KAGGLE_.*(KEY|TOKEN)")
# A signed URL is as good as a key, and a proxy URL may contain a password.
SIGNATURE = re.compile(r"\?[^\s'\"]*=[^\s'\"]*")
LOGIN = re.compile(r"//[^\s/@]+@")
HIDDEN = "***"

# Some versions print the status code, others only the site's message.
UNKNOWN_USER = re.compile(
    r"\b401\b|Unauthorized|Unauthenticated|Authentication required|Could not find kaggle\.json"
)
REFUSED_USER = re.compile(r"\b403\b|Forbidden|must accept|[Pp]ermission '")
# The client may exit with status 0 without submitting, so check the site's answer.
ACCEPTED = "successfully submitted"


def download(path: Path | str) -> list[str]:
    """Download the contest's zip to ``path``; return the last lines that the client printed.

    Raises InputError, and leaves no file, if the client fails or the zip is not readable.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        lines = _client("download", "-c", CONTEST, "-p", folder, "-q")
        # Under any name; the client chooses it.
        arrived = sorted(Path(folder).iterdir())
        zips = [file for file in arrived if file.suffix.lower() == ".zip"]
        if len(zips) != 1:
            names = ", ".join(file.name for file in arrived) or "nothing"
            raise InputError(
                f"kaggle: expected to receive one zip, found {names}; download it from {PAGE}/data "
                f"and set data.source to its path{_said(lines)}"
            )
        _check_zip(zips[0])
        with replacing(path) as part:
            zips[0].replace(part)
            # The client sets the site's date; make the file new instead.
            part.touch()
    return lines[-KEPT_LINES:]


def submit(path: Path | str, message: str) -> list[str]:
    """Submit ``path`` to the contest; return the last lines that the client printed.

    Raises InputError if the file is not a valid submission, before anything is sent, or if the
    site does not confirm it.
    """
    path = Path(path)
    check_submission(path)
    lines = _client("submit", "-c", CONTEST, "-f", str(path.absolute()), "-m", message, "-q")
    if ACCEPTED not in "\n".join(lines).lower():
        raise InputError(
            f"kaggle: expected the answer '{ACCEPTED}', found another; check on "
            f"{PAGE}/submissions whether {path} arrived before you send it again{_said(lines)}"
        )
    return lines[-KEPT_LINES:]


def check_submission(path: Path | str) -> str:
    """Return the SHA-256 of a submission; raise InputError if the site could not score it."""
    path = Path(path)
    table = read_csv(path, "write it again", "submission", **TEXTS)
    if table.columns.tolist() != ["id", "rle_mask"]:
        found = ",".join(table.columns)
        raise InputError(f"{path}: expected the columns id,rle_mask, found {found}; not submitted")
    if len(table) != TEST_TILES:
        raise InputError(
            f"{path}: expected the contest's {TEST_TILES} test tiles, found {len(table)} rows; "
            "only predictions of the contest's own tiles can be submitted"
        )
    if table["id"].duplicated().any() or (table["id"] == "").any():
        raise InputError(f"{path}: an id is empty or duplicated; not submitted")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _client(*arguments: str) -> list[str]:
    """Run ``kaggle competitions``; return the lines of its output without secrets."""
    program = shutil.which("kaggle")
    if program is None:
        raise InputError(
            "kaggle: no such program on PATH; install the contest's client with 'pip install "
            "kaggle', in this environment or in another whose programs are on PATH"
        )
    users, secrets = _credentials()
    if not secrets:
        folders = ", ".join(str(folder) for folder in _folders())
        raise InputError(
            "kaggle: found no credentials in KAGGLE_API_TOKEN, in KAGGLE_USERNAME with KAGGLE_KEY, "
            f"nor in a file {', '.join(JSON_FILES + TOKEN_FILES[:1])} in {folders}; create a token "
            f"on {TOKENS} and put it in one of them"
        )
    try:
        done = subprocess.run(
            [program, "competitions", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        raise InputError(
            f"{program}: does not start ({error.strerror}); install it again with 'pip install "
            "kaggle'"
        ) from None
    # Read them again, since the client may have renewed a token.
    new_users, new_secrets = _credentials()
    lines = _clean(done.stdout.decode(errors="replace"), users | new_users, secrets | new_secrets)
    if done.returncode:
        raise InputError(_failure(done.returncode, lines))
    return lines


def _failure(status: int, lines: list[str]) -> str:
    text = "\n".join(lines)
    if UNKNOWN_USER.search(text):
        return (
            "kaggle: the site rejects these credentials (401); create a new token on "
            f"{TOKENS}, check that no old one is left in the environment or in another file, and "
            f"upgrade an old client with 'pip install --upgrade kaggle'{_said(lines)}"
        )
    if REFUSED_USER.search(text):
        return (
            "kaggle: the site refuses this account (403); accept the contest's rules on "
            f"{PAGE}/rules, logged in as the credentials' owner{_said(lines)}"
        )
    return (
        f"kaggle: the client failed with status {status}; check that this machine reaches "
        f"www.kaggle.com, and try again{_said(lines)}"
    )


def _said(lines: list[str]) -> str:
    if not lines:
        return ""
    return "; its output:" + "".join(f"\n  {line}" for line in lines[-KEPT_LINES:])


def _folders() -> list[Path]:
    """Return the folders where any version of the client may look for credentials."""
    home = Path.home()
    given = os.environ.get("KAGGLE_CONFIG_DIR")
    general = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return [*([Path(given)] if given else []), home / ".kaggle", general / "kaggle"]


def _credentials() -> tuple[set[str], set[str]]:
    """Return user names and secrets from the environment and the client's files."""
    users, secrets = {os.environ.get("KAGGLE_USERNAME", "")}, set()
    for name, value in os.environ.items():
        if SECRET_VARIABLE.fullmatch(name):
            # The client also accepts the path of a token file.
            secrets |= {value.strip(), _text(Path(value))}
    for folder in _folders():
        secrets |= {_text(folder / name) for name in TOKEN_FILES}
        for name in JSON_FILES:
            for entry, value in ENTRY.findall(_text(folder / name)):
                (users if entry == "username" else secrets).add(value)
    return users - {""}, secrets - {""}


def _text(path: Path) -> str:
    """Return a file's text, or an empty string if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError):
        return ""


def _clean(text: str, users: set[str], secrets: set[str]) -> list[str]:
    """Return the lines of a program's output, without secrets and overwritten progress."""
    hidden = secrets | {quote(secret, safe="") for secret in secrets}
    for user in users:
        for secret in secrets:
            hidden.add(base64.b64encode(f"{user}:{secret}".encode()).decode())
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = LOGIN.sub(f"//{HIDDEN}@", SIGNATURE.sub(f"?{HIDDEN}", text))
    lines = (line.strip().rpartition("\r")[2].strip() for line in text.split("\n"))
    return [line for line in lines if line]


def _check_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
    except UNREADABLE as error:
        raise InputError(
            f"kaggle: expected a zip, found {path.name} of {path.stat().st_size} bytes, not "
            f"readable ({error}); download it again"
        ) from None
    if damaged is not None:
        raise InputError(f"kaggle: {damaged} in {path.name} is damaged; download it again")
    # A truncated download may still be readable, as the inner zip stored last.
    if "train.csv" not in names:
        raise InputError(f"kaggle: {path.name} contains no train.csv; download it again")
