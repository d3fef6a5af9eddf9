"""Train a member on a handful of tiny tiles."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from saltseg.device.compute import Compute
from saltseg.settings.config import AugmentationSettings, TrainingSettings
from saltseg.training.augmentation import Augmentation
from saltseg.training.data import Labelled
from saltseg.training.trainer import Trainer, TrainingJob

CPU = Compute(torch.device("cpu"), "fp32")
MOVING = Augmentation(AugmentationSettings(vertical_flip=True, rotation=20.0, zoom=(0.8, 1.2)))
STILL = Augmentation(
    AugmentationSettings(horizontal_flip=False, rotation=0.0, shift=0.0, zoom=(1.0, 1.0))
)
NEVER = 10**9
NEEDS_TIMM = pytest.mark.skipif(
    not all(find_spec(name) for name in ("timm", "torchvision")),
    reason="needs timm: pip install -e '.[timm]'",
)


def labelled(count, seed=0, side=16):
    """Tiles whose salt is bright and whose rest is dark, with some noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    edges = random.integers(0, side, (count, 1, 1))
    masks = np.where(random.random((count, 1, 1)) < 0.5, rows, columns) > edges
    images = np.where(masks, 180, 60) + random.integers(-40, 41, masks.shape)
    return on_cpu(images, masks, random.uniform(50, 960, count))


def on_cpu(images, masks, depths):
    images, masks = (torch.from_numpy(a.astype(np.uint8))[:, None] for a in (images, masks))
    return Labelled(images, masks, torch.from_numpy(depths.astype(np.float32)))


def member(training=None, validation=None, compute=CPU, *, trainer=Trainer, **changes):
    """Return the checkpoint and the history of a member, of few tiny tiles by default."""
    job = {
        "training": labelled(8) if training is None else training,
        "validation": labelled(5, seed=1) if validation is None else validation,
        "augmentation": MOVING,
        "model": {"name": "residual_unet", "width": 1, "dropout": 0.1},
        "seed": 0,
    }
    recipe = {
        "epochs": 3,
        "passes_per_epoch": 1,
        "windows_per_epoch": 1,
        "batch_size": 4,
        "optimiser": "adam",
        "weight_decay": 0,
        "schedule": "plateau",
        "monitor": "loss",
        "learning_rate": 0.01,
        "minimum_learning_rate": 0.0,
        "plateau_patience": NEVER,
        "stopping_patience": NEVER,
        "minimum_gain": 0.0,
    }
    known = TrainingSettings.model_fields.keys()
    recipe |= {key: changes.pop(key) for key in known & changes.keys()}
    known = TrainingJob.__dataclass_fields__.keys()
    job |= {key: changes.pop(key) for key in known & changes.keys()}
    job = TrainingJob(recipe=TrainingSettings(**recipe), **job)
    return trainer(job, compute, **changes).run()
