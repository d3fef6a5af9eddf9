"""The residual U-Net in Keras on TensorFlow, with arrays in memory and without augmentation."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from collections.abc import Callable

import keras
import numpy as np
import ours
from keras import layers, ops
from survey import tiles_and_masks

PARAMETERS = 5_112_497  # at width 16


def block(x):
    body = x
    for _ in range(2):
        body = layers.ReLU()(layers.BatchNormalization()(body))
        body = layers.Conv2D(x.shape[-1], 3, padding="same")(body)
    return x + body


def level(x, channels: int):
    x = layers.Conv2D(channels, 3, padding="same")(x)
    return layers.ReLU()(layers.BatchNormalization()(block(block(x))))


def network(width: int) -> keras.Model:
    inputs = keras.Input((*ours.TILE, 1))
    x, skips = level(inputs, width), []
    for depth in range(1, 5):
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
        x = level(layers.Dropout(0.25 if depth == 1 else 0.5)(x), width * 2**depth)
    for skip in reversed(skips):
        # Upsampling n gives 2n with "same" padding, and 2n + 1 with "valid".
        padding = "valid" if skip.shape[1] % 2 else "same"
        channels = skip.shape[-1]
        x = layers.Conv2DTranspose(channels, 3, strides=2, padding=padding)(x)
        x = level(layers.Dropout(0.5)(layers.Concatenate()([x, skip])), channels)
    return keras.Model(inputs, layers.Conv2D(1, 1)(x))


def bce_dice(masks, logits):
    probabilities = ops.sigmoid(logits)
    bce = ops.mean(keras.losses.binary_crossentropy(masks, logits, from_logits=True))
    overlap = ops.sum(probabilities * masks)
    return bce + 1 - (2 * overlap + 1) / (ops.sum(probabilities) + ops.sum(masks) + 1)


def arrays(survey: str, tiles: int) -> tuple[np.ndarray, np.ndarray]:
    images, masks = tiles_and_masks(survey, tiles)
    return images[..., None].astype(np.float32) / 255, masks[..., None].astype(np.float32)


def training(survey: str, batch_size: int, width: int = 16, tiles: int = 128) -> Callable[[], int]:
    net = network(width)
    count = sum(int(np.prod(weight.shape)) for weight in net.trainable_weights)
    assert width != 16 or count == PARAMETERS, count
    # XLA, Keras' default, is slower on a CPU.
    net.compile(optimizer=keras.optimizers.Adam(), loss=bce_dice, jit_compile=False)
    images, masks = arrays(survey, tiles)
    random = np.random.default_rng(0)

    def repeat() -> int:
        # fit and predict add seconds of overhead, too much for epochs this short.
        for rows in np.array_split(random.permutation(tiles), tiles // batch_size):
            net.train_on_batch(images[rows], masks[rows])
        return tiles

    return repeat


def prediction(
    survey: str, output: str, batch_size: int, width: int = 16, tiles: int = 128
) -> Callable[[], int]:
    net = network(width)
    images, _ = arrays(survey, tiles)
    parts = tiles // batch_size

    def repeat() -> int:
        straight, mirrored = (
            np.concatenate([net.predict_on_batch(part) for part in np.array_split(side, parts)])
            for side in (images, images[:, :, ::-1])
        )
        logits = np.stack([straight, mirrored[:, :, ::-1]])[..., 0]
        np.save(output, (1 / (1 + np.exp(-logits))).mean(axis=0))
        return tiles

    return repeat
