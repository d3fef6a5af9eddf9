"""Bodies of salt: connected in three dimensions, without specks and holes, slab by slab.

``bodies.zarr`` is a group (Zarr v3) with ``body`` (inline, crossline, sample), uint16: 0 for other
rock, and the number of the body of each salt sample, 1 for the largest. Samples are connected by
their faces.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage, sparse

from saltseg.core.files import replacing_folder
from saltseg.core.stores import CHUNK, ArraySpec, Store, create_store, shard_shape
from saltseg.survey.grid import DIMENSIONS, Grid
from saltseg.survey.lines import OTHER, SALT, Labels, on_part
from saltseg.survey.volume import coordinates, fill_coordinates

VERSION = 1
SLAB = 8  # inlines that are labelled at once, for the sake of memory
THIN = 2  # lines, of which each would be a face
MOST = 65_535  # a number that all further bodies share

# Returns a part of a volume, bool (inlines, crosslines, samples), by inlines.
Read = Callable[[slice], np.ndarray]


@dataclass(frozen=True)
class Components:
    """The connected parts of a volume, but for small ones inside of a slab, for the sake of memory.

    labels: those of each slab that are parts of a component, int64
    of_label: the component of each of them, int32, slab by slab
    first: the first of these of each slab, int64 (slabs + 1)
    sizes: samples of each component, int64
    marked: whether a component has a sample where ``find`` was told to look, bool
    """

    labels: list[np.ndarray]
    of_label: np.ndarray
    first: np.ndarray
    sizes: np.ndarray
    marked: np.ndarray

    @classmethod
    def find(cls, read: Read, look: Read, inlines: int, smallest: int) -> "Components":
        """Find the connected parts of what ``read`` returns; ``look`` marks some of them.

        Parts of fewer samples than ``smallest`` are left out if they are unmarked and lie between
        the faces of a slab.
        """
        chosen, first, sizes, marks, joints = [], [0], [], [], []
        above = None
        for slab in slabs(inlines):
            labels, count = ndimage.label(read(slab))
            size = np.bincount(labels.ravel(), minlength=count + 1)
            marked, goes_on = np.zeros((2, count + 1), bool)
            marked[labels[look(slab)]] = True
            goes_on[labels[0]] = slab.start > 0
            goes_on[labels[-1]] |= slab.stop < inlines
            matters = marked | goes_on | (size >= smallest)
            matters[0] = False
            chosen.append(np.flatnonzero(matters))
            sizes.append(size[matters])
            marks.append(marked[matters])
            numbers = first[-1] + np.cumsum(matters) - 1
            if above is not None:
                touching = (above >= 0) & (labels[0] > 0)
                pairs = np.stack([above[touching], numbers[labels[0][touching]]])
                joints.append(np.unique(pairs, axis=1))
            first.append(first[-1] + len(chosen[-1]))
            above = np.where(labels[-1] > 0, numbers[labels[-1]], -1)
        total = first[-1]
        one, other = np.concatenate([np.zeros((2, 0), np.int64), *joints], axis=1)
        graph = sparse.coo_array((np.ones(len(one), bool), (one, other)), shape=(total, total))
        count, of_label = sparse.csgraph.connected_components(graph, directed=False)
        found = np.bincount(of_label, np.concatenate([np.zeros(0), *sizes]), count)
        marked = np.bincount(of_label, np.concatenate([np.zeros(0), *marks]), count) > 0
        return cls(chosen, of_label, np.array(first), found.astype(np.int64), marked)

    def read(self, read: Read, slab: slice, values: np.ndarray, rest: int) -> np.ndarray:
        """Return the value of each sample's component, 0 for none, of the same slab again.

        Args:
            values: of each component.
            rest: the value of those that were left out.
        """
        labels, count = ndimage.label(read(slab))
        number = slab.start // SLAB
        own = np.full(count + 1, rest, values.dtype)
        own[0] = 0
        own[self.labels[number]] = values[self.of_label[slice(*self.first[number : number + 2])]]
        return own[labels]


def slabs(stop: int, first: int = 0) -> Iterator[slice]:
    """Yield the slabs of inlines, the first of which is a multiple of ``SLAB``."""
    for start in range(first, stop, SLAB):
        yield slice(start, min(start + SLAB, stop))


def write_bodies(
    path: Path,
    grid: Grid,
    read: Callable[[slice], tuple[np.ndarray, np.ndarray]],
    labels: Labels,
    smallest: int,
) -> int:
    """Write the bodies of salt, complete or not at all; return their number.

    Holes of fewer samples than ``smallest`` are filled, then bodies of fewer are dropped; neither
    where a labelled line says otherwise, nor holes that reach the volume's faces.

    Args:
        read: returns where salt is marked, and which samples there are, by inlines; both bool
            (inlines, crosslines, samples).
        labels: what is known of some lines; see ``honour``.
    """
    count = grid.inlines.count

    def labelled(slab: slice, value: int) -> np.ndarray:
        found = np.zeros((slab.stop - slab.start, *grid.shape[1:]), bool)
        for part, of_line in on_part(labels, slab, slice(0, grid.shape[1])):
            found[part] |= of_line == value
        return found

    def other_rock(slab: slice) -> np.ndarray:
        salt, live = read(slab)
        return ~salt & live

    def kept_open(slab: slice) -> np.ndarray:
        # Beside a missing sample nothing is known to be enclosed.
        first, last = max(slab.start - 1, 0), min(slab.stop + 1, count)
        missing = ndimage.binary_dilation(~read(slice(first, last))[1])
        beside = missing[slab.start - first : slab.stop - first]
        return faces(slab, grid.shape) | beside | labelled(slab, OTHER)

    holes = Components.find(other_rock, kept_open, count, smallest)
    fills = (holes.sizes < smallest) & ~holes.marked

    def filled(slab: slice) -> np.ndarray:
        return read(slab)[0] | holes.read(other_rock, slab, fills, rest=True)

    bodies = Components.find(filled, lambda slab: labelled(slab, SALT), count, smallest)
    kept = np.flatnonzero((bodies.sizes >= smallest) | bodies.marked)
    # The largest first; of equal ones, that of the first inline.
    order = kept[np.argsort(-bodies.sizes[kept], kind="stable")]
    numbers = np.zeros(len(bodies.sizes), np.uint16)
    numbers[order] = np.minimum(np.arange(1, len(order) + 1), MOST)
    with replacing_folder(path) as part:
        specs = coordinates(grid) | {
            "body": ArraySpec(grid.shape, "uint16", DIMENSIONS, CHUNK, shard_shape(grid.shape))
        }
        arrays = create_store(part, {"version": VERSION, "bodies": len(order)}, specs)
        fill_coordinates(arrays, grid)
        step = arrays["body"].shards[0]
        for start in range(0, count, step):
            stop = min(start + step, count)
            found = [bodies.read(filled, slab, numbers, rest=0) for slab in slabs(stop, start)]
            arrays["body"][start:stop] = np.concatenate(found)
    return len(order)


class Bodies:
    """A store of bodies.

    count: how many there are
    """

    def __init__(self, path: Path | str):
        """Open a store; InputError if it is missing, damaged or something else."""
        self._store = Store(path, "store of bodies", VERSION)
        self.count: int = self._store.attributes["bodies"]

    def read(self, *part: slice) -> np.ndarray:
        """Return numbers of bodies, uint16 (inlines, crosslines, samples); 0 for other rock."""
        return self._store.read("body", *part)


def faces(slab: slice, shape: tuple[int, int, int]) -> np.ndarray:
    """Return which samples of a slab lie on the volume's faces, bool."""
    found = np.zeros((slab.stop - slab.start, *shape[1:]), bool)
    # A line has none along its own plane.
    if shape[1] > THIN:
        found[:, [0, -1]] = True
    if shape[2] > THIN:
        found[:, :, [0, -1]] = True
    if shape[0] > THIN:
        found[0] |= slab.start == 0
        found[-1] |= slab.stop == shape[0]
    return found


def honour(
    values: np.ndarray, labels: Labels, inlines: slice, crosslines: slice, salt: int
) -> None:
    """Set stored probabilities of a part to what labelled lines say, in place.

    values: uint16 (inlines, crosslines, samples); samples above ``salt`` stay missing
    salt: what stands for a probability of 1
    """
    for part, of_line in on_part(labels, inlines, crosslines):
        here = values[part]
        here[(of_line == SALT) & (here <= salt)] = salt
        here[(of_line == OTHER) & (here <= salt)] = 0
        values[part] = here
