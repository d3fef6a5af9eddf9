"""Volumes in other containers, which are copied to SEG-Y first."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import segyio
import zarr

from saltseg.core.errors import InputError
from saltseg.survey.container import Container
from saltseg.survey.copy_to_segy import copy_to_segy
from saltseg.survey.geometry import save_traces
from saltseg.survey.grid import Axis, Grid
from saltseg.survey.readers import READERS, has_reader, open_container
from saltseg.survey.scan import scan
from saltseg.survey.segy import Segy
from saltseg.survey.volume import import_volume
from support import segy_files
from support.segy_files import amplitudes, grid_numbers, write_segy
from support.stages import stage

INLINE, CROSSLINE = grid_numbers(np.arange(100, 180, 2), np.arange(300, 312))


@pytest.fixture
def imported(tmp_path):
    """The data of a run on a small volume with missing, dead and undefined samples."""
    values = amplitudes(len(INLINE), 30)
    values[40], values[50, 3] = 0, 1e30
    keep = np.arange(len(INLINE)) != 25
    fields = {(71, 2): -100, (181, 4): 5000 * INLINE, (185, 4): 9000 * CROSSLINE, (109, 2): 48}
    fields = {key: value[keep] if np.ndim(value) else value for key, value in fields.items()}
    source = write_segy(
        tmp_path / "source.sgy", values[keep], INLINE[keep], CROSSLINE[keep], fields=fields
    )
    geometry, traces, positions = scan(source)
    geometry.save(tmp_path / "geometry.json")
    save_traces(tmp_path / "traces.h5", traces, positions)
    import_volume(source, geometry, traces, tmp_path / "volume.zarr")
    return tmp_path, geometry, positions, values


def test_a_store_of_an_earlier_run_becomes_the_segy_file_that_it_was_made_from(imported):
    folder, geometry, positions, values = imported
    assert has_reader(folder / "volume.zarr") and not has_reader("survey.sgy")
    copy = folder / "copy.sgy"
    assert stage("copy_volume", "--source", folder / "volume.zarr", "--segy", copy) == 0
    found, traces, places = scan(copy)
    for name in ("inlines", "crosslines", "samples", "unit", "coordinates_byte"):
        assert getattr(found, name) == getattr(geometry, name), name
    # The dead trace, too, is missing.
    assert (found.missing, found.nan) == (2, 1)
    there = traces >= 0
    np.testing.assert_allclose(places[:, there], positions[:, there])
    with Segy(copy) as file:
        kept = np.delete(values, [25, 40], axis=0)
        kept[kept > 1e20] = np.nan
        np.testing.assert_allclose(file.read_traces(traces[there]), kept, rtol=1e-3)
    with segyio.open(copy, strict=False) as file:
        assert file.samples[0] == 48 and file.bin[segyio.BinField.SEGYRevision] == 1


def test_a_store_alone_has_no_coordinates(imported):
    folder, geometry, _, _ = imported
    for name in ("geometry.json", "traces.h5"):
        (folder / name).unlink()
    container = open_container(folder / "volume.zarr")
    assert np.isnan(container.positions).all() and container.grid == Grid(*geometry.axes)
    copy_to_segy(container, folder / "copy.sgy")
    assert scan(folder / "copy.sgy")[0].coordinates_byte is None


@pytest.mark.parametrize("unit", ["m", "ft", "ms"])
def test_the_unit_and_fractions_are_kept(tmp_path, unit):
    grid = Grid(Axis(1, 1, 3), Axis(5, 1, 4), Axis(2.5, 0.5, 20))
    values = amplitudes(12).reshape(3, 4, 20)
    container = Container(grid, unit, np.full((2, 3, 4), np.nan), values.__getitem__)
    copy_to_segy(container, tmp_path / "copy.sgy")
    found, traces, _ = scan(tmp_path / "copy.sgy")
    assert (found.unit, found.samples) == (unit, grid.samples)
    with Segy(tmp_path / "copy.sgy") as file:
        np.testing.assert_array_equal(
            file.read_traces(traces.ravel()).reshape(values.shape), values
        )
    later = replace(container, grid=replace(grid, samples=Axis(1000.5, 0.5, 20)))
    copy_to_segy(later, tmp_path / "later.sgy")
    assert scan(tmp_path / "later.sgy")[0].samples == later.grid.samples
    for odd in (Axis(0, 1 / 3, 20), Axis(40_000, 4, 20), Axis(1 / 3, 4, 20)):
        odd = replace(container, grid=replace(grid, samples=odd))
        with pytest.raises(InputError, match="as SEG-Y has them"):
            copy_to_segy(odd, tmp_path / "odd.sgy")


def test_a_reader_is_a_function_and_a_line(tmp_path, monkeypatch):
    grid = Grid(Axis(1, 1, 3), Axis(5, 1, 4), Axis(0, 4, 20))

    def read(path):
        values = np.load(path)
        return Container(grid, "ms", np.full((2, 3, 4), np.nan), values.__getitem__)

    monkeypatch.setitem(READERS, ".npy", lambda: read)
    np.save(tmp_path / "volume.npy", amplitudes(12).reshape(3, 4, 20))
    arguments = ("--source", tmp_path / "volume.npy", "--segy", tmp_path / "copy.sgy")
    assert stage("copy_volume", *arguments) == 0
    assert scan(tmp_path / "copy.sgy")[0].shape == grid.shape


@pytest.fixture
def mdio(tmp_path):
    """A store by multidimio 1.1.3, and the SEG-Y file that it imported."""
    shutil.unpack_archive(Path(segy_files.__file__).with_name("survey.mdio.zip"), tmp_path)
    return tmp_path / "survey.mdio", segy_files.write_mdio_source(tmp_path / "source.sgy")


def copy_mdio(store):
    copy = store.with_name("copy.sgy")
    return copy, stage("copy_volume", "--source", store, "--segy", copy)


def as_zarr_v2(store):
    """The same in Zarr v2, whose amplitudes multidimio 1.1.3 fails to write."""
    group = zarr.open_group(store, mode="r")
    older = zarr.create_group(store.with_name("v2.mdio"), zarr_format=2)
    older.attrs.update(group.attrs.asdict())
    for name, array in group.arrays():
        made = older.create_array(name, shape=array.shape, dtype=array.dtype, chunks=array.chunks)
        made[:] = array[:]
        made.attrs["_ARRAY_DIMENSIONS"] = list(array.metadata.dimension_names)
    return store.with_name("v2.mdio")


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("change", [Path, as_zarr_v2])
def test_an_mdio_store_becomes_the_segy_file_that_was_imported(mdio, change):
    store, source = mdio
    copy, status = copy_mdio(change(store))
    assert status == 0
    (found, traces, places), (expected, of_source, positions) = scan(copy), scan(source)
    for name in ("inlines", "crosslines", "samples", "unit", "interval", "missing", "traces"):
        assert getattr(found, name) == getattr(expected, name), name
    assert found.missing == 7 and found.samples == Axis(48, 2.5, 30)
    np.testing.assert_array_equal(places, positions)
    with Segy(copy) as file, Segy(source) as original:
        np.testing.assert_array_equal(file.read_traces(traces), original.read_traces(of_source))


def put(name, **attributes):
    return lambda store: zarr.open(store / name).attrs.update(attributes)


def renumber(store):
    zarr.open(store / "inline")[:2] = 7


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda store: (store / "amplitude/c/0/0/0").unlink(), "amplitude/c/0/0/0, a chunk with"),
        (lambda store: (store / "amplitude/c/0/0/0").write_bytes(b"x"), "not a readable"),
        (lambda store: shutil.rmtree(store / "inline"), "no variable inline"),
        (renumber, "whole numbers in inline, each once; found [  7   7 104 108]"),
        (put("", apiVersion="0.9"), "expected apiVersion 1, as multidimio 1 writes it; found 0.9"),
        (put("", attributes={"defaultVariableName": "seismic"}), "no variable seismic"),
        (put("", attributes={"defaultVariableName": "cdp_x"}), "dimensions inline, crossline, and"),
        (put("time", unitsV1={"time": "h"}), "unit h of time; expected one of s, ms"),
    ],
)
def test_an_mdio_store_that_is_damaged_or_of_something_else_is_refused(
    mdio, capsys, spoil, message
):
    store, _ = mdio
    spoil(store)
    copy, status = copy_mdio(store)
    assert status == 1 and not copy.exists()
    error = capsys.readouterr().err
    assert "survey.mdio: not a readable post-stack MDIO v1 store" in error and message in error


@pytest.mark.filterwarnings("ignore:seismic store access")
@pytest.mark.parametrize("step", [2, -2])
@pytest.mark.parametrize(
    ("kind", "factor", "unit"),
    [("time", 0.001, "ms"), ("time", 1.0, "ms"), ("length", 0.3048, "ft")],
)
def test_a_zgy_file_becomes_a_segy_file(tmp_path, step, kind, factor, unit):
    api = pytest.importorskip("openzgy.api")
    values = amplitudes(10 * 12, 70).reshape(10, 12, 70)
    dimension, scale = getattr(api.UnitDimension, kind), 0.001 if factor == 1 else 1
    corners = (0, 5), (900, 5), (0, 1105), (900, 1105)
    with api.ZgyWriter(
        str(tmp_path / "source.zgy"), size=values.shape, datatype=api.SampleDataType.float,
        zinc=4 * scale, zstart=48 * scale, zunitdim=dimension, zunitfactor=factor,
        annotstart=(100, 300), annotinc=(step, 3), corners=corners,
    ) as file:  # fmt: skip
        file.write((0, 0, 0), values)
    copy = tmp_path / "copy.sgy"
    assert stage("copy_volume", "--source", tmp_path / "source.zgy", "--segy", copy) == 0
    found, traces, places = scan(copy)
    assert found.crosslines == Axis(300, 3, 12) and found.samples == Axis(48, 4, 70)
    assert found.inlines == Axis(100 if step > 0 else 82, 2, 10) and found.unit == unit
    order = slice(None, None, 1 if step > 0 else -1)
    np.testing.assert_array_equal(places[0][:, 0], np.arange(0, 901, 100)[order])
    np.testing.assert_array_equal(places[1][0], np.arange(5, 1106, 100))
    with Segy(copy) as file:
        np.testing.assert_array_equal(file.read_traces(traces), values[order])


def test_a_zgy_file_needs_its_package(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "openzgy.api", None)
    (tmp_path / "source.zgy").touch()
    arguments = ("--source", tmp_path / "source.zgy", "--segy", tmp_path / "copy.sgy")
    assert stage("copy_volume", *arguments) == 1
    assert "to read ZGY files, pip install pyzgy==0.1.1" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["gone.zarr", "other.zarr", "other.mdio"])
def test_what_is_no_volume_is_refused(tmp_path, capsys, name):
    for other in ("other.zarr", "other.mdio"):
        (tmp_path / other).mkdir()
    arguments = ("--source", tmp_path / name, "--segy", tmp_path / "copy.sgy")
    assert stage("copy_volume", *arguments) == 1
    assert name in capsys.readouterr().err and not (tmp_path / "copy.sgy").exists()
