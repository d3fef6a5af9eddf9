"""Experiments: whole configurations from keys that differ, grids, and what may not differ."""

import pytest

from saltseg.settings.check import configurations, faults
from saltseg.settings.experiments import differences, experiments


def varied(changes):
    return {"ensemble": {"seeds": [3]}, "experiments": changes}


def test_an_experiment_is_the_configuration_with_its_own_keys():
    wide = {"model": {"width": "16"}, "ensemble": {"seeds": [0, 1]}}
    found = configurations(varied({"base": None, "wide": wide}))
    assert list(found) == ["base", "wide"]
    assert [each["ensemble"]["seeds"] for each in found.values()] == [[3], [0, 1]]
    # Text is read, as everywhere in a configuration.
    assert differences(found)["wide"] == {"ensemble.seeds": [0, 1], "model.width": 16}
    assert differences(found)["base"] == {"ensemble.seeds": [3], "model.width": 8}
    assert all(each["experiments"] == {} for each in found.values())


def test_a_grid_has_an_experiment_for_each_combination_beside_those_with_names():
    grid = {"model.width": [8, 16], "training.learning_rate": [0.001, 1e-05]}
    found = experiments(varied({"mine": {}, "grid": grid}))
    assert list(found) == [
        "mine",
        "width-8_learning_rate-0-001",
        "width-8_learning_rate-1e-05",
        "width-16_learning_rate-0-001",
        "width-16_learning_rate-1e-05",
    ]
    assert found["width-16_learning_rate-1e-05"] == {
        "model": {"width": 16},
        "training": {"learning_rate": 1e-05},
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": {"validation": {"folds": 3}}}, "experiments.a.validation.folds: experiments share"),
        ({"a": {"inference": {"shards": 3}}}, "experiments.a.inference.shards: experiments share"),
        ({"a": {"data": 3}}, "experiments.a.data: experiments share one import"),
        ({"a": {"experiments": {"b": {}}}}, "experiments.a.experiments.b: experiments share"),
        ({"a": {"model": {"width": 0}}}, "experiments.a.model.width: expected integer, 1 to 512"),
        ({"a": {"model": {"wdith": 1}}}, "experiments.a.model.wdith: unknown key; known are"),
        ({"a": {"model": 3}}, "experiments.a.model: expected a section of keys and values"),
        ({"a": {"training": {"pretrained": True}}}, "experiments.a.training.pretrained: unet does"),
        ({"a": 3}, "experiments.a: expected a section of keys and values, found 3"),
        ({"a/b": {}}, "experiments.a/b: expected a name of letters, digits, - and _; rename it"),
        ({"": {}}, "experiments.: expected a name of letters"),
        ({"grid": {}}, "experiments.grid: expected lists of values, found {}"),
        ({"grid": {"model": {"width": 3}}}, "experiments.grid.model: expected a list of values of"),
        ({"grid": {"model.width": []}}, "experiments.grid.model.width: expected a list of values"),
        ({"grid": {"data.source": ["a"]}}, "experiments.grid.data.source: experiments share one"),
        ({"grid": {"model.width": [0]}}, "experiments.width-0.model.width: expected integer"),
        ({"grid": {"model.width": [4, 4]}}, "experiments: 2 are named width-4; give them names"),
        ({"width-4": {}, "grid": {"model.width": [4]}}, "experiments: 2 are named width-4"),
    ],
)
def test_what_no_experiment_may_have_is_named(changes, message):
    (fault,) = faults(varied(changes))
    assert fault.startswith(message)
