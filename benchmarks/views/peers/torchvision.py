"""torchvision's v2 functions on uint8 tensors (C, H, W)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from asl_fast.edits import Crop, Fit, Pixels
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.posterise import Posterise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.steps import Erase, Size
from benchmarks.views.peers.peer import (
    Doing,
    Peer,
    bits_of,
    box_of,
    kernel_px,
    margins_of,
    new_size,
    same,
    warp_of,
)

Pool = Sequence[Tensor]


def _fit(edit: Fit, size: Size, pool: Pool) -> Doing:
    width, height = new_size(edit, size)
    return same if (width, height) == size else functools.partial(tv.resize, size=[height, width])


def _crop(edit: Crop, size: Size, pool: Pool) -> Doing:
    left, top, width, height = box_of(edit, size)
    return lambda picture: tv.crop(picture, top, left, height, width)


def _flip(edit: Flip, size: Size, pool: Pool) -> Doing:
    return tv.vertical_flip if edit.upside_down else tv.horizontal_flip


def _rotate(edit: Rotate, size: Size, pool: Pool) -> Doing:
    fill = [float(value) for value in edit.fill]
    return lambda picture: tv.rotate(
        picture, edit.degrees, InterpolationMode.BILINEAR, expand=True, fill=fill
    )


def _perspective(edit: Perspective, size: Size, pool: Pool) -> Doing:
    """It keeps the canvas; ours ends where the picture does."""
    step = warp_of(edit, size)
    assert step is not None
    inverse = np.linalg.inv(step.matrix)
    back = (inverse / inverse[2, 2]).ravel()[:8].tolist()
    fill, (width, height) = [float(value) for value in edit.fill], step.size

    def doing(picture: Tensor) -> Tensor:
        moved = tv.perspective(picture, None, None, InterpolationMode.BILINEAR, fill, back)
        return tv.crop(moved, 0, 0, height, width)

    return doing


def _pad(edit: Pad, size: Size, pool: Pool) -> Doing:
    margins, fill = list(margins_of(edit, size)), [float(value) for value in edit.fill]
    return lambda picture: tv.pad(picture, margins, fill=fill)


def _colour(edit: Colour, size: Size, pool: Pool) -> Doing:
    def doing(picture: Tensor) -> Tensor:
        picture = tv.adjust_brightness(picture, edit.brightness)
        picture = tv.adjust_contrast(picture, edit.contrast)
        return tv.adjust_saturation(picture, edit.saturation)

    return doing


def _blur(edit: Blur, size: Size, pool: Pool) -> Doing:
    sigma = edit.radius_share * min(size)
    edge = kernel_px(sigma)
    return lambda picture: tv.gaussian_blur(picture, [edge, edge], [sigma, sigma])


def _pixelise(edit: Pixelise, size: Size, pool: Pool) -> Doing:
    cells = [max(1, round(size[1] * edit.ratio)), max(1, round(size[0] * edit.ratio))]
    whole = [size[1], size[0]]
    return lambda picture: tv.resize(tv.resize(picture, cells), whole, InterpolationMode.NEAREST)


def _stripe(edit: Stripe, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, Erase)
    (left, top), (right, bottom) = (
        step.polygons[0].min(0).astype(int).tolist(),
        step.polygons[0].max(0).astype(int).tolist(),
    )
    fill = torch.tensor(edit.fill, dtype=torch.uint8)[:, None, None]
    return lambda picture: tv.erase(picture, top, left, bottom - top, right - left, fill)


class Torchvision(Peer):
    """Tensors, decoded by libjpeg-turbo."""

    name = "torchvision"
    edits = {
        Fit: _fit,
        Crop: _crop,
        Flip: _flip,
        Rotate: _rotate,
        Perspective: _perspective,
        Pad: _pad,
        Colour: _colour,
        Grayscale: lambda edit, size, pool: functools.partial(tv.rgb_to_grayscale, num_output_channels=3),
        Gamma: lambda edit, size, pool: functools.partial(tv.adjust_gamma, gamma=edit.exponent),
        Posterise: lambda edit, size, pool: functools.partial(tv.posterize, bits=bits_of(edit.levels)),
        Blur: _blur,
        Sharpen: lambda edit, size, pool: functools.partial(
            tv.adjust_sharpness, sharpness_factor=1 + edit.amount
        ),
        Noise: lambda edit, size, pool: functools.partial(tv.gaussian_noise, sigma=edit.sigma / 255),
        Pixelise: _pixelise,
        Jpeg: lambda edit, size, pool: functools.partial(tv.jpeg, quality=edit.quality),
        Stripe: _stripe,
    }

    def decode(self, data: bytes) -> Tensor:
        return decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)

    def native(self, pixels: Pixels) -> Tensor:
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())

    def pixels(self, picture: Any) -> Pixels:
        return np.ascontiguousarray(picture.numpy().transpose(1, 2, 0))

    def size(self, picture: Tensor) -> Size:
        return (picture.shape[2], picture.shape[1])
