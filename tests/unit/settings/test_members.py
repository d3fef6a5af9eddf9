"""Kinds of members: what they change, how their members are named, and what is refused."""

from pathlib import Path

import pytest

from saltseg.core.errors import InputError
from saltseg.settings.check import complete, faults, kinds
from saltseg.settings.members import kind_of, members_of, name_of, run_name, seed_of

LOVASZ = {"name": "lovasz", "seeds": [3], "training": {"loss": "lovasz", "epochs": "5"}}


def of(*members, **others):
    return {"ensemble": {"members": list(members)}, **others}


def test_a_kind_is_the_configuration_with_its_own_keys():
    config = complete(of({"seeds": [0, 1]}, LOVASZ, model={"width": 12})).model_dump(mode="json")
    plain, lovasz = (kinds(config, volume=False)[name] for name in ("", "lovasz"))
    assert plain["ensemble"]["seeds"] == [0, 1] and lovasz["ensemble"]["seeds"] == [3]
    assert lovasz["model"] == plain["model"] and plain["model"]["width"] == 12
    # Text is read, and null resolved, as everywhere in a configuration.
    assert lovasz["training"] == plain["training"] | {"loss": "lovasz", "epochs": 5}
    assert plain["training"]["epochs"] == 6


@pytest.mark.parametrize("seeds", [None, [2]])
def test_seeds_alone_are_one_kind_without_a_name(seeds):
    config = complete({"ensemble": {"seeds": seeds}}).model_dump(mode="json")
    assert kinds(config, volume=True)[""]["ensemble"]["seeds"] == (seeds or [0, 1, 2, 3, 4])
    assert kinds(config, volume=True).keys() == {""}


@pytest.mark.parametrize(("kind", "name"), [("", "7"), ("lovasz", "lovasz-7"), ("a-1", "a-1-7")])
def test_a_members_name_has_its_kind_and_its_seed(kind, name):
    assert name_of(kind, 7) == name
    assert (kind_of(name), seed_of(name)) == (kind, 7)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (of({}, {}), "ensemble.members: 0 and 1 have no name; give each"),
        (of({}, LOVASZ, LOVASZ), "ensemble.members: 1 and 2 are named lovasz; give each"),
        (of({"name": "a/b"}), "ensemble.members.0.name: expected a name of letters, digits"),
        (of({"name": 3}), "ensemble.members.0.name: expected a name of letters"),
        (of({"data": {}}), "ensemble.members.0.data: kinds of members may only have name, seeds"),
        (of({"seeds": [1, 1]}), "ensemble.members.0.seeds: [1, 1] lists a value twice"),
        (of({"seeds": []}), "ensemble.members.0.seeds: expected list of one or more integers"),
        (of({}, {"name": "a", "model": {"wdith": 1}}), "ensemble.members.1.model.wdith: unknown"),
        (of({"model": 3}), "ensemble.members.0.model: expected a section of keys and values"),
        (of({"training": {"late_loss": "lovasz", "late_from": 9}}), "members.0.training.late_from"),
        (of(3), "ensemble.members.0: expected a section of keys and values, found 3"),
        (
            {"ensemble": {"runs": ["a/results", "b/a"]}},
            "ensemble.runs: members of several would be called a-0; rename the folder",
        ),
        (
            {"ensemble": {"members": [{"name": "a"}], "runs": ["a/results"]}},
            "ensemble.runs: members of several would be called a-0",
        ),
        ({"ensemble": {"seeds": [0], "members": [{}]}}, "ensemble.seeds: each of ensemble.members"),
    ],
)
def test_what_is_no_kind_is_named(config, message):
    (fault,) = faults(config)
    assert message in fault


@pytest.mark.parametrize(
    ("folder", "name"), [("../a b/results", "a-b"), ("/x/results/", "x"), ("other", "other")]
)
def test_members_of_other_runs_are_called_by_their_folder(folder, name):
    assert run_name(folder) == name


def test_files_are_of_the_members_that_they_or_their_folders_are_named_by():
    files = [Path("test/0/1.h5"), Path("test/a-0/0.h5"), Path("validation/1.h5")]
    assert members_of(files, ["0", "1", "a-0"]) == ["0", "a-0", "1"]
    with pytest.raises(InputError, match="found validation/2"):
        members_of([Path("validation/0.h5"), Path("validation/2.h5")], ["0"])
    with pytest.raises(InputError, match="found none of a-0"):
        members_of(files[2:], ["1", "a-0"])
