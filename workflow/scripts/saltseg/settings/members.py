"""Members by name, such as ``0`` and ``lovasz-0``: the kind, if it has a name, and the seed."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from saltseg.core.errors import RESULTS, InputError
from saltseg.core.files import plain_name
from saltseg.settings.experiments import NAME

# Sections that kinds may differ in.
SECTIONS = ("model", "training", "augmentation")
KEYS = ("name", "seeds", *SECTIONS)


def name_of(kind: str, seed: int) -> str:
    """Return a member's name; the kind of one without is empty."""
    return f"{kind}-{seed}" if kind else str(seed)


def seed_of(member: str) -> int:
    """Return the seed of a member; ValueError if the text is no member's name."""
    return int(member.rpartition("-")[2])


def run_name(run: str) -> str:
    """Return what members of a finished run are called: its folder, or the one of its results."""
    path = Path(run).resolve()
    name = path.parent.name if path.name == RESULTS else path.name
    return plain_name(name)


def read_member(text: str) -> str:
    """Return a member's name, as an argument's type; ValueError if it is none."""
    seed_of(text)
    return text


def kind_of(member: str) -> str:
    """Return the kind of a member, empty for one without a name."""
    return member.rpartition("-")[0]


def members_of(files: Iterable[Path], members: Collection[str]) -> list[str]:
    """Return which member each file is of: it or its folder is named by that.

    Raises InputError for a file of no member, and a member without files.
    """
    files = list(files)
    # In a folder of a member, files are named by shards, whose numbers are like seeds.
    names = [each.parent.name if each.parent.name in members else each.stem for each in files]
    odd = [str(file) for file, name in zip(files, names, strict=True) if name not in members]
    missing = [name for name in members if name not in names]
    if odd or missing:
        found = odd[0] if odd else f"none of {missing[0]}"
        raise InputError(
            f"expected files of the members in threshold.json, {', '.join(members)}, found "
            f"{found}; pass those of the same members"
        )
    return names


def entries(config: dict) -> dict[str, dict]:
    """Return what each kind of member changes in the configuration, by the kind's name."""
    given = config["ensemble"]["members"] or [{"seeds": config["ensemble"]["seeds"]}]
    return {entry.get("name") or "": _changes(entry) for entry in given}


def _changes(entry: dict) -> dict:
    own = {"seeds": entry.get("seeds"), "members": None, "runs": []}
    return {"ensemble": own} | {name: entry[name] for name in SECTIONS if name in entry}


def malformed(ensemble: dict) -> Iterator[str]:
    """Yield a fault for each entry of ``ensemble.members`` that is no kind, or not to be told."""
    given = ensemble["members"] or []
    if given and ensemble["seeds"]:
        yield (
            "ensemble.seeds: each of ensemble.members has its own; set it to null, or members to "
            "null"
        )
    for number, entry in enumerate(given):
        here, name = f"ensemble.members.{number}", entry.get("name")
        for key in entry.keys() - {*KEYS}:
            yield f"{here}.{key}: kinds of members may only have {', '.join(KEYS)}"
        if name is not None and not (isinstance(name, str) and NAME.fullmatch(name)):
            yield f"{here}.name: expected a name of letters, digits, - and _, found {name!r}"
    names = [str(entry.get("name") or "") for entry in given]
    yield from _repeated(names)
    runs = list(map(run_name, ensemble["runs"]))
    for number, name in enumerate(runs):
        if name in [*names, *runs[:number]]:
            yield f"ensemble.runs: members of several would be called {name}-0; rename the folder"


def _repeated(names: list[str]) -> Iterator[str]:
    for name in dict.fromkeys(names):
        same = [str(number) for number, each in enumerate(names) if each == name]
        if len(same) > 1:
            where = " and ".join(same)
            said = f"are named {name}" if name else "have no name"
            yield f"ensemble.members: {where} {said}; give each a name of its own"
