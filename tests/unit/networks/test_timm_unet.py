"""Encoders of timm: their features, their weights, and what is refused."""

import os
import sys

import pytest
import torch
from safetensors.torch import save_file

from saltseg.core.errors import InputError
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.timm_unet import TimmEncoder, timm
from support.networks import settle
from support.training import NEEDS_TIMM, labelled, member

pytestmark = [NEEDS_TIMM, pytest.mark.slow]
# With and without features at stride 2, with names that timm changes in its features, and some.
ENCODERS = ["resnet18", "convnext_atto", "mobilenetv3_small_050", "regnetx_002", "vgg11_bn"]
SETTINGS = {"name": "timm_unet", "encoder": "resnet18", "width": 1, "dropout": 0.0}


def settled(name, **options):
    """Return a model of timm whose normalisation has seen some pictures."""
    torch.manual_seed(1)
    return settle(timm().create_model(name, **options), torch.randn(4, 3, 64, 64))


def saved(path, name="resnet18", **changes):
    """Save weights of a model, each change another tensor, or None for none; return the file."""
    state = {**settled(name).state_dict(), **changes}
    state = {key: each.contiguous() for key, each in state.items() if each is not None}
    (save_file if path.suffix == ".safetensors" else torch.save)(state, path)
    return path


@pytest.mark.parametrize("name", ENCODERS)
def test_features_are_those_of_timms_model_for_a_grey_picture(tmp_path, name):
    theirs = settled(name).double()
    encoder = TimmEncoder(name).eval()
    encoder.load_weights(saved(tmp_path / "weights.safetensors", name))
    encoder.double()
    grey = torch.rand(2, 1, 64, 96, dtype=torch.float64)
    about = timm().get_pretrained_cfg(name)
    mean, deviation = (sum(values) / 3 for values in (about.mean, about.std))
    with torch.no_grad():
        expected = theirs.forward_intermediates(
            (grey.expand(-1, 3, -1, -1) - mean) / deviation, intermediates_only=True
        )
        found = encoder(grey)
    assert [each.shape[1] for each in found] == encoder.channels
    for stride, each in zip((2, 4, 8, 16, 32), found, strict=True):
        assert each.shape[2:] == (64 // stride, 96 // stride)
    found = [each for each in found if each.shape[1]]
    # Of a size that two of the model's features have, the encoder gives the last.
    expected = list({each.shape[2:]: each for each in expected}.values())[-len(found) :]
    for mine, other in zip(found, expected, strict=True):
        assert other.std() > 0.01
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("form", ["state dict", "checkpoint", "parallel", "grey", "no classifier"])
def test_weights_may_lie_in_a_file_in_many_ways(tmp_path, caplog, form):
    caplog.set_level("INFO")
    path, state = tmp_path / "weights.pth", settled("resnet18").state_dict()
    if form == "checkpoint":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif form == "parallel":
        torch.save({f"module.{name}": each for name, each in state.items()}, path)
    elif form == "grey":
        torch.save(state | {"conv1.weight": state["conv1.weight"].sum(1, keepdim=True)}, path)
    elif form == "no classifier":
        torch.save({name: each for name, each in state.items() if name[:3] != "fc."}, path)
    else:
        torch.save(state, path)
    encoder = TimmEncoder("resnet18")
    encoder.load_weights(path)
    assert caplog.messages == []
    found = encoder.body.state_dict()
    torch.testing.assert_close(found.pop("conv1.weight"), state["conv1.weight"].sum(1, True))
    assert found.keys() > {"layer1.0.conv1.weight", "layer4.1.bn2.running_var"}
    for name, each in found.items():
        assert each.equal(state[name]), name


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"layer1.0.conv1.weight": None}, ["layer1.0.conv1.weight is missing"]),
        ({"layer9.weight": torch.ones(1)}, ["layer9.weight is no weight of resnet18"]),
        (
            {"bn1.bias": torch.ones(65), "bn1.weight": None},
            [r"bn1.bias: expected shape \(64,\), found \(65,\)", "bn1.weight is missing"],
        ),
        (
            {"conv1.weight": torch.ones(64, 2, 7, 7)},
            [r"conv1.weight: expected shape \(64, 3, 7, 7\), found \(64, 2, 7, 7\)"],
        ),
    ],
)
def test_weights_of_another_model_are_refused_with_their_names(tmp_path, changes, faults):
    path = saved(tmp_path / "weights.safetensors", **changes)
    with pytest.raises(InputError, match=r"training\.encoder_weights: .*weights") as found:
        TimmEncoder("resnet18").load_weights(path)
    assert len(str(found.value).splitlines()) == 1 + len(faults)
    for fault in faults:
        with pytest.raises(InputError, match=fault):
            raise found.value


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("content", ["code", "text", "cut", "number", "list", "other things"])
def test_a_file_of_anything_else_is_refused_and_runs_no_code(
    tmp_path, monkeypatch, suffix, content
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"weights.{suffix}"
    if content == "cut":
        whole = saved(path).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif content == "text":
        path.write_text("weights\n")
    else:
        thing = {
            "code": Harmful(), "number": 3, "list": [torch.ones(3)], "other things": {"epoch": 3},
        }[content]  # fmt: skip
        torch.save(thing, path)
    with pytest.raises(InputError, match=rf"training\.encoder_weights: \S+{suffix}: expected wei"):
        TimmEncoder("resnet18").load_weights(path)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet43", r"timm \S+ has no model resnet43; similar are resnet"),
        ("hf-hub:timm/resnet18", "has no model hf-hub:timm/resnet18"),
        ("resnet18.nothing", "resnet18.nothing gives no features .*nothing"),
        ("vit_tiny_patch16_224", "gives no features of pictures of any size .*224"),
        ("swin_tiny_patch4_window7_224", "gives no features of pictures of any size .*224"),
        ("mixer_s16_224", "gives no features of pictures of any size"),
        ("vitamin_small_224", "gives no features of pictures of any size"),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused_by_its_name(name, message):
    with pytest.raises(InputError, match=rf"model\.encoder: .*{message}"):
        TimmEncoder(name)


@pytest.fixture
def offline(monkeypatch):
    """Fail wherever timm would load weights from anywhere."""

    def refuse(*args, **options):
        raise OSError("no network here")

    for name in ("load_state_dict_from_hf", "load_state_dict_from_url", "download_cached_file"):
        monkeypatch.setattr(f"timm.models._builder.{name}", refuse, raising=False)


def test_without_internet_timms_weights_are_requested_as_a_file(offline):
    message = r"training\.pretrained: .*resnet18 \(no network here\).*training\.encoder_weights"
    with pytest.raises(InputError, match=message):
        member(model=SETTINGS, pretrained=True)


def test_a_model_without_weights_does_not_begin_with_random_ones():
    trained = {name.partition(".")[0] for name in timm().list_pretrained()}
    name = next(each for each in timm().list_models("resnet*") if each not in trained)
    with pytest.raises(
        InputError, match=rf"training\.pretrained: timm gives no weights for {name}"
    ):
        TimmEncoder(name).load_pretrained()


def test_timms_own_weights_are_used_if_available(monkeypatch, caplog):
    caplog.set_level("INFO")
    state = settled("resnet18").state_dict()
    monkeypatch.setattr(
        "timm.models._builder.load_state_dict_from_hf", lambda *args, **options: dict(state)
    )
    encoder = TimmEncoder("resnet18")
    encoder.load_pretrained()
    assert caplog.messages == ["loading timm's weights: resnet18.a1_in1k"]
    found = encoder.body.state_dict()
    torch.testing.assert_close(found["conv1.weight"], state["conv1.weight"].sum(1, True))
    assert found["layer4.1.conv2.weight"].equal(state["layer4.1.conv2.weight"])


def test_a_member_begins_with_a_files_weights_and_loads_without_a_network(tmp_path, offline):
    path = saved(tmp_path / "weights.pth")
    checkpoint, _ = member(
        labelled(4, side=33), labelled(2, side=33), model=SETTINGS, epochs=1,
        encoder_weights=str(path), frozen_epochs=1,
    )  # fmt: skip
    checkpoint.save(tmp_path / "member.safetensors")
    network = Checkpoint.load(tmp_path / "member.safetensors").rebuild()
    given = torch.load(path)
    for name, each in network.encoder.body.named_parameters():
        wanted = given[name].sum(1, True) if name == "conv1.weight" else given[name]
        torch.testing.assert_close(each.detach(), wanted)
    assert network.encoder.mean.item() == pytest.approx(0.449, abs=1e-3)
    assert network(torch.rand(1, 1, 33, 33)).isfinite().all()


@pytest.mark.parametrize("missing", ["timm", "torchvision"])
def test_without_its_packages_the_command_that_installs_them_is_printed(missing, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("saltseg.networks.timm_unet.timm", timm.__wrapped__)  # Not its cache.
    monkeypatch.setitem(sys.modules, missing, None)
    message = rf"^model\.name: timm_unet needs timm and torchvision \(.*{missing}.*\); "
    with pytest.raises(InputError, match=rf"{message}pip install -e '\.\[timm\]'$"):
        model.build(**SETTINGS)
