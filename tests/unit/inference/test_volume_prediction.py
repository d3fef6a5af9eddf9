"""Volumes predicted window by window, in shards, and read back."""

import shutil
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn
from torch.nn import functional

from saltseg.core.errors import InputError
from saltseg.core.quantisation import MISSING, SCALE, quantise
from saltseg.ensemble.fusion import average, to_logits
from saltseg.inference.predict import predict_batch
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale, VolumePredictor
from saltseg.networks import model
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.network import Network
from saltseg.output.shards import Layout, Shards, planes_of
from saltseg.output.volume import Fuser
from saltseg.survey import volume as stores
from saltseg.survey.amplitudes import fill_gaps
from saltseg.survey.character import Character
from saltseg.survey.grid import Axis, Grid
from saltseg.survey.volume import Volume
from saltseg.survey.windows import Windows
from support.training import CPU, NEEDS_TIMM

WHOLE = Windows(10**6, 0)
CUT = Windows(160, 32)
REACHES = [
    ("unet", {"width": 1}, 512),
    ("residual_unet", {"width": 1}, 768),
    *((f"efficientnet_lite{i}_unet", {"width": 1, "scale": 2}, 1024) for i in range(3)),
    *((f"efficientnet_lite{i}_unet", {"width": 1}, 1536) for i in range(3)),
    pytest.param("timm_unet", {"width": 1, "encoder": "resnet18"}, 768, marks=NEEDS_TIMM),
    pytest.param(
        "timm_unet", {"width": 1, "encoder": "resnet18", "scale": 2}, 512, marks=NEEDS_TIMM
    ),
    pytest.param("timm_unet", {"width": 1, "encoder": "vgg11_bn"}, 512, marks=NEEDS_TIMM),
]
SETTINGS = [
    ("unet", {"width": 2}),
    ("residual_unet", {"width": 2}),
    ("efficientnet_lite0_unet", {"width": 2}),
    ("efficientnet_lite0_unet", {"width": 2, "scale": 2}),
    pytest.param("timm_unet", {"width": 2, "encoder": "resnet18"}, marks=NEEDS_TIMM),
]


def network_of(name="unet", seed=0, **settings):
    torch.manual_seed(seed)
    return model.build(name, **{"width": 2, "dropout": 0.0, **settings}).eval()


def section_of(*shape):
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


def volume_of(path: Path, shape, missing=(), blank=()) -> Volume:
    grid = Grid(Axis(0, 1, shape[0]), Axis(0, 1, shape[1]), Axis(0.0, 4.0, shape[2]))
    amplitude = stores.create(path, grid, percentile=99.9)
    values = np.random.default_rng(3).normal(0, 0.4, shape).astype(np.float16)
    for inline, crossline in missing:
        values[inline, crossline] = np.nan
    for index in blank:
        values[index] = np.nan
    amplitude[:] = values
    return Volume(path)


def predict_section(networks, section, windows=CUT, flip=True):
    return SectionPredictor(networks, CPU, windows, flip).predict(section)


def predicted(
    folder, volume, networks, shards=1, planes="both", windows=CUT, normalisation="window"
):
    layout = Layout.of(volume.shape, windows, planes, shards, len(networks))
    paths = [folder / f"{shards}-{shard}.zarr" for shard in range(shards)]
    sections = SectionPredictor(networks, CPU, windows, flip=True)
    predictor = VolumePredictor(sections, Greyscale(normalisation, 64), batch_size=8)
    for shard, path in enumerate(paths):
        predictor.predict(volume, layout, shard, path)
    return Shards(paths, volume.shape), paths


def read_all(shards: Shards, plane: str):
    inlines, crosslines, _ = shards.layout.shape
    return shards.read(plane, slice(0, inlines), slice(0, crosslines))


@pytest.mark.parametrize("side", [1, 31, 32, 96, 97, 160, 161, 500, 5000])
def test_cores_cover_a_side_once_within_windows_of_the_requested_size(side):
    cores = CUT.cores(side)
    assert cores[0].start == 0
    assert cores[-1].stop == side
    assert all(a.stop == b.start and a.stop % 32 == 0 for a, b in pairwise(cores))
    for core in cores:
        around = CUT.around(core, side, (0, -side % 16), 16)
        assert around.start <= max(core.start - CUT.margin, 0)
        assert around.stop >= min(core.stop + CUT.margin, side)
        assert around.stop - around.start <= CUT.window + 2 * 16
    assert len(cores) == 1 or side > CUT.window


def reach_of(network: Network, width: int) -> int:
    """How far from a logit a pixel may be that it depends on, at any place of the poolings.

    All parts pass on what they get, so that nothing that might be seen hides behind a zero.
    """
    for part in network.modules():
        if isinstance(part, nn.ReLU | nn.ReLU6):
            part.forward = lambda x: x
        if isinstance(part, nn.BatchNorm2d):
            nn.init.ones_(part.weight)
        if isinstance(part, nn.MaxPool2d):
            part.forward = partial(
                functional.avg_pool2d,
                kernel_size=part.kernel_size,
                stride=part.stride,
                padding=part.padding,
            )
    step, furthest = network.stride, 0
    first = width // 2 - width // 2 % step
    # A few at once: all of them would take gigabytes.
    for at in torch.arange(first, first + step).split(4):
        images = torch.rand(len(at), 1, step, width, requires_grad=True)
        network.logits(images, None)[torch.arange(len(at)), 0, :, at].sum().backward()
        seen = images.grad.abs().amax((1, 2)) > 0
        furthest = max(furthest, int(((torch.arange(width) - at[:, None]).abs() * seen).max()))
    return furthest


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings", "width"), REACHES)
def test_a_logit_depends_on_no_pixel_beyond_the_reach(name, settings, width):
    network = network_of(name, **settings)
    reach = network.receptive_radius
    assert width > 2 * reach + 2 * network.stride
    assert reach - network.stride < reach_of(network, width) <= reach


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
@pytest.mark.parametrize("flip", [True, False])
def test_windows_with_the_networks_own_margin_show_no_seam(name, settings, flip):
    network = network_of(name, **settings)
    windows = windows_for([network], 64)
    section = section_of(40, windows.window + 100)
    whole, _ = predict_section([network], section, WHOLE, flip)
    cut, _ = predict_section([network], section, windows, flip)
    assert len(windows.cores(section.shape[1])) > 1
    assert np.abs(cut - whole).max() < 1e-5


def test_a_margin_may_be_set_and_is_at_most_a_third_of_the_window():
    networks = [network_of("unet"), network_of("residual_unet")]
    assert windows_for(networks, 1024) == Windows(1024, networks[1].receptive_radius)
    assert windows_for(networks, 1024, 64) == Windows(1024, 64)
    assert windows_for(networks, 100, 64) == Windows(192, 64)


@NEEDS_TIMM
def test_members_that_see_whole_sections_need_a_margin_of_ones_own():
    networks = [network_of("unet"), network_of("timm_unet", encoder="mobilenetv3_small_050")]
    with pytest.raises(InputError, match=r"inference\.margin: null .* is the whole section.*128"):
        windows_for(networks, 1024)
    assert windows_for(networks, 1024, 128) == Windows(1024, 128)


@pytest.mark.parametrize("side", [64, 75])
def test_a_whole_section_is_what_the_network_gives_for_it(side):
    """That with reflection is what an encoder does by itself."""
    network = network_of("efficientnet_lite0_unet")
    section = section_of(side, 90)
    found, _ = predict_section([network], section, WHOLE, flip=False)
    expected = predict_batch(network, section[None], None, CPU, False)[0]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (5, 40), (40, 1), (15, 15)])
@pytest.mark.parametrize(("name", "settings"), SETTINGS[::2])
def test_sections_smaller_than_the_network_takes_are_predicted(name, settings, shape):
    found, _ = predict_section([network_of(name, **settings)], section_of(*shape))
    assert found.shape == shape
    assert ((found > 0) & (found < 1)).all()


def test_members_are_averaged_and_their_spread_is_returned():
    networks = [network_of("unet", seed) for seed in range(3)]
    section = section_of(50, 60)
    single = [predict_section([one], section) for one in networks]
    mean, deviation = predict_section(networks, section)
    stack = np.stack([each for each, _ in single])
    np.testing.assert_allclose(mean, expit(to_logits(stack).mean(0)), atol=1e-6)
    np.testing.assert_allclose(deviation, stack.std(0), atol=1e-6)
    heavy, _ = SectionPredictor(networks, CPU, CUT, True, [1, 0, 3]).predict(section)
    expected = expit(np.average(to_logits(stack), axis=0, weights=[1, 0, 3]))
    np.testing.assert_allclose(heavy, expected, atol=1e-6)
    assert not single[0][1].any()


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    gaps = [(0, 0), (5, 7), (5, 8), (70, 99)]
    blank = [(33, 5, 0), (33, 6, 0), (70, slice(20, 23), slice(10, 30))]
    return volume_of(tmp_path_factory.mktemp("volume") / "volume.zarr", (71, 100, 45), gaps, blank)


@pytest.fixture(scope="module")
def networks():
    return [network_of("unet", 0), network_of("residual_unet", 1)]


@pytest.fixture(scope="module")
def one_shard(tmp_path_factory, volume, networks):
    shards, _ = predicted(tmp_path_factory.mktemp("one"), volume, networks)
    return {plane: read_all(shards, plane) for plane in ("inline", "crossline")}


@pytest.mark.parametrize("shards", [2, 3, 8])
def test_shards_give_the_same_bits(tmp_path, volume, networks, one_shard, shards):
    found, _ = predicted(tmp_path, volume, networks, shards)
    for plane, expected in one_shard.items():
        for values, others in zip(read_all(found, plane), expected, strict=True):
            np.testing.assert_array_equal(values, others)


def test_missing_samples_stay_missing_and_no_others(volume, one_shard):
    missing = np.isnan(volume.read())
    assert missing.sum() == 4 * 45 + 2 + 3 * 20
    for values, _ in one_shard.values():
        np.testing.assert_array_equal(values == MISSING, missing)


@pytest.mark.parametrize("plane", ["inline", "crossline"])
def test_lines_are_predicted_as_sections_alone(tmp_path, volume, networks, plane):
    shards, _ = predicted(tmp_path, volume, networks, 2, plane, normalisation="volume")
    probability, disagreement = read_all(shards, plane)
    for line in (0, 33, 70):
        part = (line,) if plane == "inline" else (slice(None), line)
        amplitude = fill_gaps(volume.read()[part].T.astype(np.float32))
        grey = np.rint(127.5 + 127.5 * amplitude.clip(-1, 1)).astype(np.uint8)
        mean, deviation = predict_section(networks, grey)
        here = probability[part].T != MISSING
        found = probability[part].T / SCALE
        # The last bits of a convolution depend on how many pictures there are.
        np.testing.assert_allclose(found[here], mean[here], atol=5e-5)
        assert np.abs(disagreement[part].T / 510 - deviation).max() < 0.002


@pytest.mark.parametrize(
    ("shape", "asked", "expected"),
    [
        ((1, 70, 50), "inline", ("inline",)),
        ((1, 70, 50), "crossline", ("inline",)),
        ((1, 70, 50), "both", ("inline",)),
        ((70, 1, 50), "both", ("crossline",)),
        ((70, 1, 50), "inline", ("crossline",)),
        ((1, 1, 50), "both", ("inline",)),
        ((2, 2, 50), "both", ("inline", "crossline")),
        ((2, 2, 50), "crossline", ("crossline",)),
    ],
)
def test_volumes_of_one_line_are_predicted_along_it(tmp_path, networks, shape, asked, expected):
    assert planes_of(shape, asked) == expected
    volume = volume_of(tmp_path / "volume.zarr", shape)
    shards, _ = predicted(tmp_path, volume, networks, 2, asked)
    probability, _ = read_all(shards, expected[0])
    assert probability.shape == shape
    assert (probability != MISSING).all()


def test_no_more_than_one_block_of_lines_and_one_window_is_read(tmp_path, networks, monkeypatch):
    volume = volume_of(tmp_path / "volume.zarr", (40, 500, 20))
    largest, read = 0, Volume.read

    def watch(self, *part):
        nonlocal largest
        found = read(self, *part)
        largest = max(largest, found.size)
        return found

    monkeypatch.setattr(Volume, "read", watch)
    predicted(tmp_path, volume, networks[:1], 1, "both", normalisation="volume")
    assert largest <= 32 * (CUT.window + 32) * 20 < np.prod(volume.shape)


def test_members_with_depth_are_refused(tmp_path, volume):
    with pytest.raises(InputError, match=r"model\.depth: none"):
        predicted(tmp_path, volume, [network_of("unet", depth="both")])


@pytest.fixture(scope="module")
def two_shards(tmp_path_factory, volume, networks):
    folder = tmp_path_factory.mktemp("two")
    predicted(folder, volume, networks[:1], 2, "inline")
    predicted(folder / "windows", volume, networks[:1], 2, "inline", Windows(64, 16))
    return folder


HARMS = {
    "gone": lambda chunk, paths: chunk.unlink(),
    "empty": lambda chunk, paths: chunk.write_bytes(b""),
    "no store": lambda chunk, paths: shutil.rmtree(paths[0]),
    "other windows": lambda chunk, paths: paths.append(paths.pop().parent / "windows/2-1.zarr"),
    "other order": lambda chunk, paths: paths.reverse(),
    "one too few": lambda chunk, paths: paths.pop(),
}


@pytest.mark.parametrize("harm", HARMS)
def test_shards_that_do_not_fit_are_refused(tmp_path, volume, two_shards, harm):
    folder = shutil.copytree(two_shards, tmp_path / "copy")
    paths = [folder / f"2-{shard}.zarr" for shard in range(2)]
    HARMS[harm](next(path for path in paths[0].rglob("0") if path.is_file()), paths)
    with pytest.raises(InputError, match=r"not a readable prediction|expected shard"):
        read_all(Shards(paths, volume.shape), "inline")


def test_another_character_than_that_of_the_members_volume_gets_a_notice(tmp_path):
    volume = volume_of(tmp_path / "volume.zarr", (4, 4, 8))
    ways = {"normalisation": "volume", "tile": 64, "percentile": 99.9}
    ways |= {"interval": 2.0, "polarity": -1.0}
    greyscale = Greyscale.of([Checkpoint({"survey": ways}, {})], 99.9)
    assert not greyscale.notices(volume)
    volume.character, volume.polarity = Character(2.0, polarity=1.0), "reversed"
    (notice,) = greyscale.notices(volume)
    assert "is positive; negative where" in notice and "set survey.polarity: normal" in notice
    assert not Greyscale("window", 101).notices(volume)
    # Of several surveys that members learnt from, the nearest counts.
    ways["further"] = [{"interval": 4.0, "polarity": 1.0}, {"interval": 2.0, "polarity": 1.0}]
    assert not Greyscale.of([Checkpoint({"survey": ways}, {})], 99.9).notices(volume)


@pytest.mark.parametrize("line", [("inline", 20), ("crossline", 33)])
@pytest.mark.parametrize("windows", [CUT, Windows(64, 8), Windows(400, 130)])
def test_a_line_is_predicted_as_the_volume_is_filled(tmp_path, line, windows):
    volume = volume_of(tmp_path / "volume.zarr", (50, 70, 66), missing=[(20, 8)])
    shards, _ = predicted(tmp_path, volume, [network_of()], windows=windows)
    whole = Fuser(deviation=1.5).fuse(shards, slice(0, 50), slice(0, 70)).probability
    sections = SectionPredictor([network_of()], CPU, windows, flip=True)
    predictor = VolumePredictor(sections, Greyscale("window", 64), batch_size=8)
    logits = predictor.predict_line(volume, ("inline", "crossline"), line, range(3, 45), 1.5)
    logits = average(logits).logits(logits)
    plane, at = line
    expected = whole[at, 3:45] if plane == "inline" else whole[3:45, at]
    np.testing.assert_array_equal(quantise(expit(logits)), expected)
