"""From decoded pixels to the encoder's input: the evaluation transform of open_clip, bit for bit.

Decoding tasks call ``prepare`` (Pillow only, no torch); the encoder's process calls
``normalise``, so that what travels between them is uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clipbatch.embed.encoder import Preprocess
from clipbatch.errors import BadImage, ContractBroken, Reason

if TYPE_CHECKING:
    import torch

_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}

_MAX_ASPECT = 64  # beyond it the centre is cut before the resize, not only after


def prepare(pixels: NDArray[np.uint8], preprocess: Preprocess) -> NDArray[np.uint8]:
    """Resize and crop one picture, as ``open_clip.image_transform`` does before ToTensor.

    Args:
        pixels: (H, W, 3), RGB.
        preprocess: the encoder's; ``crop`` below 1 resizes to side / crop before the crop.

    Returns:
        (C, height, width), contiguous; C is 1 in mode "L".

    Raises:
        BadImage: ``resize`` is "keep" and the picture has another size.
    """
    image = Image.fromarray(pixels)
    if preprocess.mode != image.mode:
        image = image.convert(preprocess.mode)
    target = (preprocess.height, preprocess.width)
    if preprocess.resize == "keep":
        if (image.height, image.width) != target:
            raise BadImage(
                Reason.UNSUPPORTED,
                f"got {image.width} x {image.height} pixels, expected {target[1]} x {target[0]} "
                "like the others; set embed.pixels_side to resize all of them",
            )
    else:
        if preprocess.resize == "shortest":
            image = _centre(image, _bounded(image.height, image.width))
        size = _resized(image.height, image.width, preprocess)
        if size != (image.height, image.width):
            image = image.resize((size[1], size[0]), _FILTERS[preprocess.interpolation])
        image = _centre(image, target)
    array = np.asarray(image)
    planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
    return np.ascontiguousarray(planes)


def normalise(batch: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Turn uint8 inputs into normalised ones: (x / 255 - mean) / std.

    Args:
        batch: (B, C, H, W) uint8, on any device.
        preprocess: the encoder's.

    Returns:
        (B, C, H, W) float32 on the same device, equal to torchvision's ToTensor and Normalize.
    """
    return standardise(to_unit(batch, preprocess), preprocess)


def to_unit(batch: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Bring uint8 inputs (B, C, H, W) to float32 in [0, 1].

    Raises:
        ContractBroken: the inputs are not what ``prepare`` makes for this preprocessing.
    """
    import torch

    if batch.dtype != torch.uint8 or tuple(batch.shape[1:]) != preprocess.shape:
        raise ContractBroken(
            f"inputs: got {batch.dtype} {tuple(batch.shape)}, expected torch.uint8 "
            f"(B, {', '.join(map(str, preprocess.shape))}); pass what prepare() returns"
        )
    return batch.to(torch.float32).div_(255)


def standardise(unit: torch.Tensor, preprocess: Preprocess) -> torch.Tensor:
    """Subtract the mean and divide by the standard deviation, in place; (B, C, H, W) float32."""
    mean = unit.new_tensor(preprocess.mean).view(-1, 1, 1)
    std = unit.new_tensor(preprocess.std).view(-1, 1, 1)
    return unit.sub_(mean).div_(std)


def _bounded(height: int, width: int) -> tuple[int, int]:
    """Limit the longer side: 1 x 1,000,000 pixels would be resized to gigabytes, then cropped."""
    return min(height, _MAX_ASPECT * width), min(width, _MAX_ASPECT * height)


def _resized(height: int, width: int, preprocess: Preprocess) -> tuple[int, int]:
    """Return the picture's (height, width) after the resize; roundings as in torchvision."""
    target = (round(preprocess.height / preprocess.crop), round(preprocess.width / preprocess.crop))
    if preprocess.resize == "squash":
        return target
    if preprocess.resize == "shortest" and target[0] == target[1]:
        short, long = sorted((height, width))
        other = int(target[0] * long / short)
        return (target[0], other) if height <= width else (other, target[0])
    choose = max if preprocess.resize == "longest" else min
    ratio = choose(height / target[0], width / target[1])
    return max(1, round(height / ratio)), max(1, round(width / ratio))


def _centre(image: Image.Image, target: tuple[int, int]) -> Image.Image:
    """Cut the centre of ``target`` (height, width) out of the image, padding with black."""
    height, width = target
    if (image.height, image.width) == target:
        return image
    over, beside = max(height - image.height, 0) // 2, max(width - image.width, 0) // 2
    top = round((max(image.height, height) - height) / 2) - over
    left = round((max(image.width, width) - width) / 2) - beside
    return image.crop((left, top, left + width, top + height))
