"""A store of amplitudes is the survey's, in any direction, or an error."""

import numpy as np
import pytest

from saltseg.core.errors import InputError
from saltseg.core.stores import shard_shape
from saltseg.survey import volume as module
from saltseg.survey.scan import scan
from saltseg.survey.segy import Segy
from saltseg.survey.volume import Volume, import_volume
from support.running import run_code
from support.segy_files import amplitudes, grid_numbers, write_segy


def survey(folder, inlines=70, crosslines=300, samples=20, gaps=True, order=None, **options):
    """A file of several shards, a good part of its traces missing."""
    numbers = grid_numbers(np.arange(inlines) * 2, 1000 - np.arange(crosslines))
    values = amplitudes(len(numbers[0]), samples)
    keep = np.random.default_rng(3).permutation(len(values))
    keep = np.sort(keep[: len(keep) * 2 // 3]) if gaps else np.sort(keep)
    # The first shard holds no trace at all.
    keep = keep[(numbers[0][keep] >= 64) | (numbers[1][keep] >= 744)] if gaps else keep
    if order == "crossline":
        keep = keep[np.lexsort((numbers[0][keep], numbers[1][keep]))]
    elif order == "none":
        keep = np.random.default_rng(4).permutation(keep)
    return write_segy(
        folder / "survey.sgy", values[keep], numbers[0][keep], numbers[1][keep], **options
    )


def expected(path, geometry, traces):
    with Segy(path) as file:
        values = file.read_traces(traces) / np.float32(geometry.amplitude.clip)
    return values.astype(np.float16)


@pytest.mark.parametrize("order", ["inline", "crossline", "none"])
@pytest.mark.parametrize("threads", [1, 3])
def test_an_import_holds_every_sample_and_nothing_where_traces_are_missing(
    tmp_path, order, threads
):
    path = survey(tmp_path, order=order)
    geometry, traces, _ = scan(path)
    assert geometry.sorting == order
    import_volume(path, geometry, traces, tmp_path / "volume.zarr", threads=threads)
    volume = Volume(tmp_path / "volume.zarr")
    wanted = expected(path, geometry, traces)
    assert volume.shape == (70, 300, 20) == geometry.shape
    np.testing.assert_array_equal(volume.read(), wanted)
    assert np.isnan(volume.read()[traces < 0]).all()
    assert not np.isnan(volume.read()[traces >= 0]).any()
    part = np.s_[3:41, 200:290, 5:17]
    np.testing.assert_array_equal(volume.read(*part), wanted[part])
    np.testing.assert_array_equal(volume.read(slice(69, 70)), wanted[69:])
    assert volume.percentile == geometry.amplitude.percentile
    assert sorted(each.name for each in tmp_path.iterdir()) == ["survey.sgy", "volume.zarr"]


def test_amplitudes_beyond_float16_and_nan_are_kept_apart(tmp_path):
    values = np.ones((6, 20), np.float32)
    values[0, :4] = np.nan, np.inf, -np.inf, 1e19
    path = write_segy(tmp_path / "a.sgy", values, *grid_numbers([1, 2], [1, 2, 3]))
    geometry, traces, _ = scan(path, percentile=50)
    assert geometry.amplitude.clip == 1
    import_volume(path, geometry, traces, tmp_path / "v.zarr")
    found = Volume(tmp_path / "v.zarr").read()[0, 0, :5]
    np.testing.assert_array_equal(found, np.array([np.nan, 6e4, -6e4, 6e4, 1], np.float16))


@pytest.mark.parametrize("format", [1, 5])
def test_undefined_samples_and_dead_traces_have_no_amplitude(tmp_path, format):
    values = amplitudes(6)
    values[1] = 0
    values[2, 0] = values[3, 5] = 1e30
    # Beside NaN, which IBM's floats do not have.
    values[2, 1] = np.nan if format == 5 else 1e30
    values[4] = -999.25
    values[5, ::2] = 0
    path = write_segy(tmp_path / "a.sgy", values, *grid_numbers([1, 2], [1, 2, 3]), format=format)
    geometry, traces, _ = scan(path)
    assert (geometry.dead, geometry.nan) == (2, 23)
    assert geometry.amplitude.max <= 120
    import_volume(path, geometry, traces, tmp_path / "v.zarr")
    missing = np.isnan(Volume(tmp_path / "v.zarr").read().reshape(values.shape))
    expected = np.zeros_like(missing)
    expected[[1, 4]] = expected[2, :2] = expected[3, 5] = True
    np.testing.assert_array_equal(missing, expected)


@pytest.mark.parametrize("shape", [(1, 1, 1), (500, 900, 1500), (40, 3000, 8000), (9, 9, 65535)])
def test_shards_hold_whole_traces_and_are_no_larger_than_memory_allows(shape):
    found = shard_shape(shape)
    assert found[0] == 32
    assert found[1] % 32 == found[2] % 128 == 0
    assert shape[2] <= found[2] < shape[2] + 128
    assert found[1] == 32 or np.prod(found) * 2 <= 2**25
    assert found[1] <= 256


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported")
    path = survey(folder, gaps=False, samples=200)
    geometry, traces, _ = scan(path)
    import_volume(path, geometry, traces, folder / "volume.zarr")
    return folder / "volume.zarr"


def flipped(place):
    def flip(data):
        place_ = place % len(data)
        return data[:place_] + bytes([data[place_] ^ 1]) + data[place_ + 1 :]

    return flip


@pytest.mark.parametrize(
    "damage",
    [flipped(0), flipped(5000), flipped(-1), lambda data: data[:5000], lambda data: b"", None],
    ids=["first byte", "a byte", "last byte", "cut", "empty", "gone"],
)
def test_damaged_amplitudes_are_noticed(imported, damage):
    file = imported / "amplitude/c/1/0/0"
    data = file.read_bytes()
    try:
        file.write_bytes(damage(data)) if damage else file.unlink()
        with pytest.raises(InputError, match=r"volume\.zarr.*rebuild it there"):
            Volume(imported).read()
        # What is not read does not matter.
        Volume(imported).read(slice(0, 32))
    finally:
        file.write_bytes(data)


@pytest.mark.parametrize("name", ["zarr.json", "amplitude/zarr.json", "inline/zarr.json"])
@pytest.mark.parametrize("text", [None, "", "{}", "[1]", "\x00", ("300", "301"), ("32", "64")])
def test_a_damaged_store_is_refused(imported, name, text):
    file = imported / name
    data = file.read_bytes()
    try:
        if text is None:
            file.unlink()
        else:
            # Valid metadata that differ are noticed as well.
            changed = data.decode().replace(*text) if isinstance(text, tuple) else text
            if changed == data.decode():
                return
            file.write_text(changed)
        with pytest.raises(InputError, match=r"volume\.zarr: not a readable volume"):
            Volume(imported)
    finally:
        file.write_bytes(data)


def test_nothing_is_left_of_an_import_that_failed(tmp_path, monkeypatch):
    path, output = survey(tmp_path, gaps=False), tmp_path / "volume.zarr"
    geometry, traces, _ = scan(path)
    amplitudes_of, done = module._amplitudes, []

    def failing(*args):
        if len(done) == 4:
            raise RuntimeError("of this test")
        done.append(args)
        return amplitudes_of(*args)

    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(module, "_amplitudes", failing)
        import_volume(path, geometry, traces, output)
    assert [each.name for each in tmp_path.iterdir()] == ["survey.sgy"]


MEMORY = """
import resource, sys
from saltseg.survey.scan import scan
from saltseg.survey.volume import import_volume
from saltseg.output.segy import write_copy
import numpy as np
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
geometry, traces, _ = scan(sys.argv[1], threads=2)
import_volume(sys.argv[1], geometry, traces, sys.argv[2], threads=2)
write_copy(
    geometry, sys.argv[1], sys.argv[3],
    lambda slab: np.ones((slab.stop - slab.start, *geometry.shape[1:]), np.float32), traces,
)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_volume(tmp_path):
    """A file of 312 MB takes no more than what two shards and their copies do."""
    inlines, crosslines, samples = 100, 500, 1500
    trace = np.zeros(1, [("header", ">i4", 60), ("samples", ">f4", samples)])
    path = write_segy(tmp_path / "a.sgy", amplitudes(1, samples), 0, 0)
    begin = path.read_bytes()[:3600]
    with open(path, "wb") as file:
        file.write(begin)
        line = np.repeat(trace, crosslines)
        line["header"][:, 48] = np.arange(crosslines)
        line["samples"] = amplitudes(crosslines, samples)
        for inline in range(inlines):
            line["header"][:, 47] = inline
            file.write(line.tobytes())
    assert path.stat().st_size > 300e6
    done = run_code(MEMORY, path, tmp_path / "v.zarr", tmp_path / "c.sgy", MALLOC_ARENA_MAX="2")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 500
