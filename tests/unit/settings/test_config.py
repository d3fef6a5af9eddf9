"""The configuration's schema, checked key by key, and contradictory settings."""

import copy
import json
import math
from pathlib import Path

import pytest
import yaml

from saltseg.core.errors import InputError
from saltseg.networks.registry import NETWORKS, OPTIONAL
from saltseg.settings.check import complete, faults, given, uncovered_folds
from saltseg.settings.schema import schema
from saltseg.training.recipe import OPTIMISERS

ROOT = Path(__file__).parents[3]
CONFIG = yaml.safe_load((ROOT / "config/config.yaml").read_text())
SCHEMA = schema()
OVERLAYS = sorted(set((ROOT / "config").glob("*.yaml")) - {ROOT / "config/config.yaml"})


def walk(schema, path=()):
    """Yield every nested schema with the path of the value it describes."""
    yield path, schema
    for key, inner in schema.get("properties", {}).items():
        yield from walk(inner, (*path, key))
    if "items" in schema:
        yield from walk(schema["items"], (*path, 0))


LEVELS = [(path, schema) for path, schema in walk(SCHEMA) if "properties" in schema]


def dotted(path):
    return ".".join(map(str, path))


def changed(path, value):
    """The default configuration with one value changed."""
    config = copy.deepcopy(CONFIG)
    # Instead of null, so that there is a seed and a kind to change.
    config["ensemble"] |= {"seeds": [0, 1], "members": [{}] if path[-1] == 0 else None}
    at = config
    for key in path[:-1]:
        at = at[key]
    if path[-1] == 0:
        at[:1] = [value]
    else:
        at[path[-1]] = value
    return config


def case_id(value):
    return dotted(value) if isinstance(value, tuple) else None


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: path.name)
def test_each_configuration_over_the_default_is_valid(overlay):
    assert faults(yaml.safe_load(overlay.read_text())) == []


def test_the_declarations_alone_make_the_default_configuration():
    assert complete({}).model_dump(mode="json") == CONFIG


@pytest.mark.parametrize(("path", "schema"), LEVELS, ids=case_id)
def test_an_unknown_key_is_named_with_its_section_and_the_known_ones(path, schema):
    (fault,) = faults(changed((*path, "wdith"), 1))
    assert fault.startswith(f"{dotted((*path, 'wdith'))}: unknown key")
    for key in schema["properties"]:
        assert repr(key) in fault


def test_a_whole_number_is_as_good_as_a_float():
    one, other = (complete(changed(("training", "encoder_rate"), rate)) for rate in (1, 1.0))
    assert one.model_dump_json() == other.model_dump_json()


def test_a_stage_can_read_only_what_it_was_given():
    settings = given({"training": {"epochs": 3}, "data": {"demo": {"seed": 1}}})
    assert settings.training.epochs == 3
    assert settings.model_dump() == {"data": {"demo": {"seed": 1}}, "training": {"epochs": 3}}
    for read, name in (
        (lambda: settings.training.loss, "TrainingSettings.loss"),
        (lambda: settings.data.demo.tiles, "DemoSettings.tiles"),
        (lambda: settings.model, "Settings.model"),
    ):
        with pytest.raises(AttributeError, match=f"^{name} was not passed to this stage; name"):
            read()


def test_a_stage_refuses_wrong_settings():
    with pytest.raises(InputError, match=r"training\.epochs: expected integer.* found 0"):
        given({"training": {"epochs": 0}})


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("training.epochs", True, "expected integer, 1 or more, or null, found True"),
        ("training.epochs", 48.0, "expected integer, 1 or more, or null, found 48.0"),
        ("training.epochs", 0, "expected integer, 1 or more, or null, found 0"),
        ("model.width", "eight", "expected integer, 1 to 512, found 'eight'"),
        ("model.dropout", 1, "expected number, 0 or more, below 1, found 1"),
        ("training.learning_rate", math.nan, "expected number, above 0, found nan"),
        ("training.learning_rate", math.inf, "expected number, above 0, found inf"),
        ("inference.threshold", 1.1, "expected number, 0 to 1, or null, found 1.1"),
        ("augmentation.horizontal_flip", 1, "expected true, false, found 1"),
        ("training.loss", "nonsense", "expected one of bce, dice, "),
        ("data.source", 3, "expected text, found 3"),
        ("data.source", "", "expected text, found ''"),
        ("validation.groups", True, "expected path or null, found True"),
        ("ensemble.seeds", [], "expected list of one or more integers, 0 to 4,294,967,295, or nul"),
        ("ensemble.seeds", "1, 2", "expected list of one or more integers, 0 to 4,294,967,295"),
        ("ensemble.seeds.0", 1.5, "expected integer, 0 to 4,294,967,295, found 1.5"),
        ("augmentation.zoom", [1], "expected list of 2 numbers, above 0, up to 10, found [1]"),
        ("augmentation.zoom.0", 0, "expected number, above 0, up to 10, found 0"),
        ("augmentation.zoom", [1.2, 0.9], "minimum 1.2 exceeds maximum 0.9; swap them"),
        ("training.minimum_learning_rate", 1, "exceeds training.learning_rate; lower it"),
        ("experiments", [1], "expected names, each with keys and values, found [1]"),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_what_was_expected(path, value, fault):
    keys = [int(key) if key.isdigit() else key for key in path.split(".")]
    (found,) = faults(changed(keys, value))
    assert found.startswith(f"{path}: {fault}")


@pytest.mark.parametrize(("path", "schema"), LEVELS[1:], ids=case_id)
@pytest.mark.parametrize("value", [None, [], "text", 1])
def test_an_invalid_section_is_named(path, schema, value):
    (fault,) = faults(changed(path, value))
    assert fault.startswith(f"{dotted(path)}: ")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("augmentation", "zoom"), [1.1, 1.1]),
        (("training", "minimum_learning_rate"), CONFIG["training"]["learning_rate"]),
    ],
)
def test_equal_bounds_are_no_contradiction(path, value):
    assert faults(changed(path, value)) == []


def test_a_late_loss_after_the_last_epoch_is_a_contradiction():
    config = changed(("training", "late_loss"), "lovasz")
    config["training"]["late_from"] = 7
    (fault,) = faults(config)
    assert fault.startswith("training.late_from: epoch 7 is after the last of training.epochs, 6; ")
    config["training"]["late_from"] -= 1
    assert faults(config) == []
    config["training"] |= {"late_from": 100, "late_loss": None}
    assert faults(config) == []


@pytest.mark.parametrize(
    ("source", "epochs"),
    [("demo-volume", 30), ("survey", 30), ("folder", 6), ("a.ZIP", 6), ("kaggle", 6)],
)
def test_a_late_loss_counts_epochs_of_a_volume_wherever_there_may_be_one(
    source, epochs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    config = changed(("data", "source"), source)
    config["training"] |= {"late_loss": "lovasz", "late_from": epochs}
    assert faults(config) == []
    config["training"]["late_from"] += 1
    assert f" {epochs}; lower it" in faults(config)[0]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (
            "demo_volume.samples",
            2000,
            "data.demo_volume: at most 20,000,000 samples in all",
        ),
        ("demo_volume.labelled_every", 101, "data.demo_volume.labelled_every: exceeds "),
        ("demo.test_tiles", 199_361, "data.demo: tiles and test_tiles should add up to 48 to 200,"),
    ],
)
def test_a_demo_that_no_job_can_make_is_a_contradiction(path, value, fault):
    (found,) = faults(changed(("data", *path.split(".")), value))
    assert found.startswith(fault)


def named(config, name):
    """Return a configuration with another network and whatever this one needs."""
    needed = {key: "resnet18" for _, key in NETWORKS[name].needs}
    return {**config, "model": {**config["model"], "name": name, **needed}}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("path", "none"), OPTIONAL.items(), ids=case_id)
def test_what_a_network_does_not_take_is_refused(name, path, none):
    value = {"none": "both", "None": "resnet18", "False": True}.get(str(none), 2)
    config = named(changed(path, value), name)
    found = faults(config)
    if path in NETWORKS[name].takes:
        assert found == []
        return
    (fault,) = found
    assert fault.startswith(f"{dotted(path)}: {name} does not take it, found {json.dumps(value)};")
    config = changed(path, value)
    for other in fault.partition("model.name to one of ")[2].split(", "):
        assert faults(named(config, other)) == []


def test_an_encoder_of_timm_is_named_and_has_weights_of_one_source():
    config = changed(("model", "name"), "timm_unet")
    assert faults(config) == ["model.encoder: timm_unet needs it, found null; set it to a name"]
    config["model"]["encoder"] = "resnet34"
    for key, value in (("pretrained", True), ("encoder_weights", "weights.pth")):
        assert faults(config) == []
        config["training"][key] = value
    (fault,) = faults(config)
    assert fault.startswith("training.pretrained, training.encoder_weights: both say where")


@pytest.mark.parametrize(
    ("folds", "seeds", "uncovered"),
    [
        (3, [0, 1, 2], []),
        (5, [0, 1, 2], [3, 4]),
        (5, [7, 10], [1, 3, 4]),
        (2, [4], [1]),
        (3, [9, 4, 2, 100], []),
        (4, [3, 7, 11], [0, 1, 2]),
    ],
)
def test_folds_that_no_seed_holds_out_are_found(folds, seeds, uncovered):
    assert uncovered_folds("kfold", folds, seeds) == uncovered
    # The other schemes hold out the same for every member, or nothing.
    for scheme in ("holdout", "full"):
        assert uncovered_folds(scheme, folds, seeds) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"bodies": []}, "data.labels.bodies: expected list of one or more sections of keys"),
        ({"bodies": [{"base": "a"}]}, "data.labels.bodies.0.top: not set, and has no default"),
        ({"bodies": [{"top": "a", "base": "a"}]}, "data.labels.bodies.0: top and base are both a"),
        ({"bodies": [{"top": 1}]}, "data.labels.bodies.0.top: expected path, found 1"),
        ({"bodies": [{"tpo": "a", "top": "a"}]}, "data.labels.bodies.0.tpo: unknown key; known"),
        ({"lines": [3, "inline_3"]}, "data.labels.lines: [3, 'inline_3'] lists a line twice"),
        ({"lines": ["line 3"]}, "data.labels.lines: expected an inline's number, or crossline_300"),
        ({"columns": ["x", "z"]}, "data.labels.columns: expected inline, crossline and z, or x, y"),
        ({"unit": "km"}, "data.labels.unit: expected one of ms, s, m, ft, null, found 'km'"),
        ({"limit": 3}, "data.labels.limit: unknown key; known are ['bodies', 'columns', 'gap'"),
    ],
)
def test_horizons_are_a_section_of_their_own_in_the_place_of_a_path(changes, fault):
    labels = {"bodies": [{"top": "top.dat", "base": "base.dat"}, {"top": "other.dat"}]}
    whole = complete({"data": {"labels": labels | {"lines": [3, "crossline_7"], "gap": "5"}}})
    assert whole.data.labels.gap == 5 and whole.data.labels.bodies[1].base is None
    (found,) = faults({"data": {"labels": labels | changes}})
    assert found.startswith(fault)


NORTH = {"source": "north.sgy", "labels": "salt.sgy"}


@pytest.mark.parametrize(
    ("surveys", "fault"),
    [
        ({"no/th": NORTH}, "data.surveys: expected names of letters, digits, - and _, found 'no/t"),
        ({"a": {"source": "a.sgy"}}, "data.surveys.a.labels: not set, and has no default"),
        ({"a": NORTH | {"tile": 32}}, "data.surveys.a.tile: unknown key; known are ['crossline_"),
        ({"a": NORTH | {"polarity": "odd"}}, "data.surveys.a.polarity: expected one of normal, re"),
        ({"a": NORTH | {"labels": {"bodies": []}}}, "data.surveys.a.labels.bodies: expected list"),
        ({"a": "a.sgy"}, "data.surveys.a: expected section of keys and values, found 'a.sgy'"),
        ({"a": NORTH, 7: NORTH}, "data.surveys.7.source: north.sgy is data.surveys.a.source, too"),
        ({"a": NORTH | {"source": "./b.sgy"}}, "data.surveys.a.source: ./b.sgy is data.source, to"),
    ],
)
def test_further_surveys_have_names_files_and_keys_of_their_own(surveys, fault):
    (found,) = faults({"data": {"source": "b.sgy", "surveys": surveys}})
    assert found.startswith(fault)


def test_the_optimisers_are_those_that_can_be_named():
    assert list(OPTIMISERS) == SCHEMA["properties"]["training"]["properties"]["optimiser"]["enum"]


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        (("training", "learning_rate"), "1e-3", 0.001),
        (("training", "learning_rate"), "2E5", 200_000.0),
        (("training", "epochs"), "30", 30),
        (("validation", "stratified"), "false", False),
        (("validation", "groups"), "null", None),
        (("ensemble", "seeds"), ["0", "1"], [0, 1]),
        (("augmentation", "zoom"), ["0.9", "1"], (0.9, 1.0)),
        (("data", "source"), "2018", "2018"),
        (("data", "source"), "~/a.zip", str(Path.home() / "a.zip")),
        (("predict", "run"), "~/gom", str(Path.home() / "gom")),
        (("data", "demo", "tiles"), "48", 48),
    ],
)
def test_a_value_is_read_from_its_text(path, text, value):
    """As text, Snakemake passes what --config sets below a section, and YAML passes 1e-3."""
    found = complete(changed(path, text))
    for name in path:
        found = getattr(found, name)
    assert repr(found) == repr(value)
