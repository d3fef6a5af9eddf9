"""Mark salt in new tiles with finished members, as the workflow does in its test tiles."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from saltseg.core.errors import InputError, raise_faults
from saltseg.core.quantisation import SCALE, quantise
from saltseg.device.compute import Compute
from saltseg.evaluation.decision import Decision
from saltseg.inference.predict import predict, show_progress
from saltseg.networks.network import Network
from saltseg.survey.decoding import decode_all, decode_image, depths_of, id_faults
from saltseg.survey.new_tiles import NewTiles

logger = logging.getLogger(__name__)


def read_tiles(
    path: Path | str, with_depth: bool
) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    """Read new tiles: sorted ids, images as uint8 (tiles, height, width), and depths.

    Depths, float32 (tiles), are read only ``with_depth``; otherwise None.

    Raises InputError that lists all errors in the files and tables.
    """
    with NewTiles(path) as source:
        ids, depths = source.ids(source.folder), None
        for notice in source.notices():
            logger.warning(notice)
        faults = [*source.doubled, *id_faults(ids, str(path))]
        if with_depth:
            try:
                depths = depths_of(source, ids, faults, required=True)
                depths = depths.astype(np.float32)
            except InputError as error:
                faults.append(f"{error}; members trained with depth need the depth of each tile")
        images, _ = decode_all(source, source.folder, ids, decode_image, faults)
        raise_faults(f"{path} (new tiles)", faults)
    return ids, images, depths


def decide(
    networks: list[Network],
    images: np.ndarray,
    depths: np.ndarray | None,
    compute: Compute,
    decision: Decision,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Yield the masks of uint8 images (tiles, height, width), one by one as bool (height, width).

    Salt is where the members' mean probability exceeds the threshold, averaged over the flip if the
    threshold was tuned so. Other arguments are those of ``predict``.
    """
    for mean in mean_batches(networks, images, depths, compute, decision, batch_size):
        yield from mean > decision.threshold


def mean_batches(
    networks: list[Network],
    images: np.ndarray,
    depths: np.ndarray | None,
    compute: Compute,
    decision: Decision,
    batch_size: int,
) -> Iterator[np.ndarray]:
    """Yield the members' mean probability, float64 (batch, height, width), batch by batch.

    Networks are those of the decision's members, in their order. All of them predict a batch before
    the next, so only one batch is in memory.
    """
    weights = list(decision.members.values())
    members = [
        predict(network, images, depths, compute, batch_size=batch_size, flip=decision.flip)
        for network in networks
    ]
    for batches in show_progress(zip(*members, strict=True), len(images), batch_size):
        # As integers, as they are stored and averaged for the test tiles.
        parts = [
            np.uint32(weight) * quantise(batch)
            for weight, batch in zip(weights, batches, strict=True)
        ]
        total: Any = np.sum(parts, axis=0, dtype=np.uint32)
        yield total / (sum(weights) * SCALE)
