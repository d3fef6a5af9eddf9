"""A finished run from Python: arrays in, probabilities and masks out; see docs/python.md."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.special import expit

from saltseg.core.errors import InputError
from saltseg.core.quantisation import SCALE, quantise
from saltseg.device.compute import Compute
from saltseg.ensemble.fusion import to_logits
from saltseg.evaluation.calibration import Calibration
from saltseg.evaluation.decision import Decision
from saltseg.inference.predict_new import mean_batches
from saltseg.inference.runtimes import for_inference
from saltseg.inference.sections import SectionPredictor, windows_for
from saltseg.inference.volume import Greyscale
from saltseg.networks.checkpoint import Checkpoint
from saltseg.networks.network import Network
from saltseg.settings.check import complete
from saltseg.settings.config import InferenceSettings
from saltseg.survey.amplitudes import section_to_8bit
from saltseg.survey.geometry import Geometry
from saltseg.survey.segy import decode
from saltseg.survey.volume import scale

IEEE_FLOAT = 5  # code of a SEG-Y file's samples


def load_run(
    results: Path | str, *, threshold: float | None = None, batch_size: int = 32, **compute: Any
) -> "FinishedRun":
    """Load the members and the threshold of a finished run.

    Args:
        results: its folder ``results``, or a copy of ``threshold.json`` and ``models/`` in it; of
            a volume, ``volume/calibration.json``, too.
        threshold: above which a pixel is salt; None for the run's own.
        batch_size: tiles per batch.
        compute: keys of the configuration's section ``compute``, such as ``device="cpu"``;
            ``threads`` are PyTorch's if not given.

    Raises InputError for a missing or damaged file, or an unknown or wrong key.
    """
    results = Path(results)
    decision = Decision.load(results / "threshold.json", threshold)
    settings = complete({"compute": {"threads": torch.get_num_threads()} | compute}).compute
    return FinishedRun(
        results,
        decision,
        [_load_member(results, name) for name in decision.members],
        Compute.select(settings, settings.runtime),
        batch_size,
        threshold,
    )


def _load_member(results: Path, name: str) -> Checkpoint:
    path = results / f"models/{name}/checkpoint.safetensors"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file, but {results / 'threshold.json'} names member {name}; copy "
            "models/ of the same run, or run the workflow there to its end"
        )
    return Checkpoint.load(path)


@dataclass(frozen=True)
class FinishedRun:
    """Members of a finished run, which predict as ``snakemake predict`` does.

    Arrays are either uint8 grey values of tiles, or float amplitudes of sections of a survey, in
    the units of its SEG-Y file: (height, width) or several as (count, height, width), samples down
    and traces across.
    """

    results: Path
    decision: Decision
    checkpoints: list[Checkpoint]
    compute: Compute
    batch_size: int
    chosen: float | None = None

    @property
    def threshold(self) -> float:
        """The probability above which a pixel is salt: of a section, by members of a volume."""
        if self.chosen is None and self._calibration:
            return self._calibration.threshold_alone
        return self.decision.threshold

    @property
    def members(self) -> dict[str, int]:
        """The members' weights, by name."""
        return self.decision.members

    def predict(
        self, images: np.ndarray, *, depths: np.ndarray | None = None, clip: float | None = None
    ) -> np.ndarray:
        """Return the members' mean probability of salt, float64 of the shape of ``images``.

        It is NaN where an amplitude is missing: NaN, or in a trace that is all zero.

        Args:
            images: uint8 tiles or float sections, as above.
            depths: of tiles (count), for members that were trained with ``model.depth``.
            clip: amplitude that becomes white, and its negative black; by default that of the
                volume that the members were trained on. Of another survey it is the
                ``survey.percentile`` of the absolute amplitudes; negative, as for members of a run
                with ``survey.polarity: reversed``, it reverses the polarity.

        Raises InputError for other arrays, and if depths or the clip are needed and unknown.
        """
        images = np.asarray(images)
        is_grey = images.dtype == np.uint8
        if (
            images.ndim not in (2, 3)
            or 0 in images.shape
            or not (is_grey or images.dtype.kind == "f")
        ):
            raise InputError(
                "expected uint8 tiles or float amplitudes, (height, width) or (count, height, "
                f"width), found {images.dtype} {images.shape}"
            )
        stack = images if images.ndim == 3 else images[None]
        found = self._predict_tiles(stack, depths) if is_grey else self._predict_all(stack, clip)
        return found.reshape(images.shape)

    def masks(
        self, images: np.ndarray, *, depths: np.ndarray | None = None, clip: float | None = None
    ) -> np.ndarray:
        """Return where salt is, bool of the shape of ``images``; arguments are of ``predict``."""
        threshold = (
            self.threshold if np.asarray(images).dtype.kind == "f" else self.decision.threshold
        )
        return self.predict(images, depths=depths, clip=clip) > threshold

    def _predict_tiles(self, images: np.ndarray, depths: np.ndarray | None) -> np.ndarray:
        if depths is not None:
            depths = np.asarray(depths, np.float32).reshape(len(images))
        batches = mean_batches(
            self._networks, images, depths, self.compute, self.decision, self.batch_size
        )
        return np.concatenate(list(batches))

    def _predict_all(self, sections: np.ndarray, clip: float | None) -> np.ndarray:
        clip = self._clip_of(sections) if clip is None else clip
        return np.stack([self._predict_section(section, clip) for section in sections])

    def _predict_section(self, section: np.ndarray, clip: float) -> np.ndarray:
        # In 16 bits and with undefined samples as NaN, as the store of a volume has them.
        amplitude = scale(decode(section.T, IEEE_FLOAT), clip).astype(np.float16).T
        grey = section_to_8bit(amplitude, self._greyscale.normalisation, self._greyscale.tile)
        mean, _ = self._sections.predict(grey)
        if self._calibration:
            # Of one plane, which stands for both.
            mean = expit(self._calibration.alone.logits({"section": to_logits(mean)}))
        return np.where(np.isnan(amplitude), np.nan, quantise(mean) / SCALE)

    def _clip_of(self, sections: np.ndarray) -> float:
        """Return a clip where the user names none; any of the amplitudes' size if by window."""
        if self._greyscale.normalisation == "window":
            return float(np.nan_to_num(np.abs(sections)).max()) or 1.0
        try:
            return Geometry.load(self.results / "data/geometry.json").amplitude.clip
        except InputError as error:
            raise InputError(
                f"{error}; it has the clip of the members' volume, without which amplitudes have "
                "no grey values: copy it with the members, or pass clip=..."
            ) from None

    @cached_property
    def _calibration(self) -> Calibration | None:
        """Of members of a volume; None for those of tiles."""
        if "survey" not in self.checkpoints[0].about:
            return None
        return Calibration.load(self.results / "volume/calibration.json")

    @cached_property
    def _networks(self) -> list[Network]:
        return [for_inference(each.rebuild(), self.compute) for each in self.checkpoints]

    @cached_property
    def _greyscale(self) -> Greyscale:
        return Greyscale.of(self.checkpoints)

    @cached_property
    def _sections(self) -> SectionPredictor:
        windows = windows_for(self._networks, InferenceSettings().window)
        return SectionPredictor(
            self._networks, self.compute, windows, self.decision.flip, self.decision.weights
        )
