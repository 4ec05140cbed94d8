"""kornia on float32 tensors (B, C, H, W) of 0..1: a whole batch at once where all are edited alike."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from kornia import color, enhance, filters
from kornia.augmentation import RandomGaussianNoise
from kornia.geometry import transform
from torch import Tensor
from torchvision.io import ImageReadMode, decode_jpeg

from asl_fast.edits import Crop, Fit, Pixels
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.median import Median
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.posterise import Posterise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.steps import MedianFilter, Size
from benchmarks.views.peers.peer import (
    Doing,
    Peer,
    bits_of,
    box_of,
    centred,
    kernel_px,
    new_size,
    same,
    warp_of,
)

Pool = Sequence[Tensor]


def _resized(picture: Tensor, size: Size, how: str = "bilinear") -> Tensor:
    return transform.resize(picture, (size[1], size[0]), how, antialias=how == "bilinear")


def _fit(edit: Fit, size: Size, pool: Pool) -> Doing:
    target = new_size(edit, size)
    return same if target == size else functools.partial(_resized, size=target)


def _crop(edit: Crop, size: Size, pool: Pool) -> Doing:
    left, top, width, height = box_of(edit, size)
    return lambda picture: picture[:, :, top : top + height, left : left + width]


def _flip(edit: Flip, size: Size, pool: Pool) -> Doing:
    return transform.vflip if edit.upside_down else transform.hflip


def _warp(edit: Rotate | Perspective, size: Size, pool: Pool) -> Doing:
    step = warp_of(edit, size)
    assert step is not None
    matrix = torch.tensor(centred(step.matrix), dtype=torch.float32)[None]
    shape = (step.size[1], step.size[0])
    fill = torch.tensor(edit.fill, dtype=torch.float32) / 255
    affine = isinstance(edit, Rotate)
    warp = transform.warp_affine if affine else transform.warp_perspective
    moved = matrix[:, :2] if affine else matrix
    return lambda picture: warp(
        picture, moved.expand(len(picture), -1, -1), shape, padding_mode="fill", fill_value=fill
    )


def _colour(edit: Colour, size: Size, pool: Pool) -> Doing:
    def doing(picture: Tensor) -> Tensor:
        picture = enhance.adjust_brightness_accumulative(picture, edit.brightness)
        picture = enhance.adjust_contrast_with_mean_subtraction(picture, edit.contrast)
        return enhance.adjust_saturation_with_gray_subtraction(picture, edit.saturation)

    return doing


def _blur(edit: Blur, size: Size, pool: Pool) -> Doing:
    sigma = edit.radius_share * min(size)
    return lambda picture: filters.gaussian_blur2d(picture, kernel_px(sigma), (sigma, sigma))


def _median(edit: Median, size: Size, pool: Pool) -> Doing:
    (step,) = edit.steps(size)
    assert isinstance(step, MedianFilter)
    edge = step.edge_px
    return lambda picture: filters.median_blur(picture, edge)


def _pixelise(edit: Pixelise, size: Size, pool: Pool) -> Doing:
    cells = (max(1, round(size[0] * edit.ratio)), max(1, round(size[1] * edit.ratio)))
    return lambda picture: _resized(_resized(picture, cells), size, "nearest")


def _jpeg(edit: Jpeg, size: Size, pool: Pool) -> Doing:
    quality = torch.tensor([float(edit.quality)])
    return lambda picture: enhance.jpeg_codec_differentiable(picture, quality.expand(len(picture)))


class Kornia(Peer):
    """Chains differ from picture to picture, so there it works on batches of one."""

    name = "kornia"
    batches = True
    edits = {
        Fit: _fit,
        Crop: _crop,
        Flip: _flip,
        Rotate: _warp,
        Perspective: _warp,
        Colour: _colour,
        Grayscale: lambda edit, size, pool: (
            lambda picture: color.rgb_to_grayscale(picture).expand(-1, 3, -1, -1)
        ),
        Gamma: lambda edit, size, pool: functools.partial(enhance.adjust_gamma, gamma=edit.exponent),
        Posterise: lambda edit, size, pool: functools.partial(enhance.posterize, bits=bits_of(edit.levels)),
        Blur: _blur,
        Sharpen: lambda edit, size, pool: functools.partial(enhance.sharpness, factor=1 + edit.amount),
        Median: _median,
        Noise: lambda edit, size, pool: RandomGaussianNoise(mean=0.0, std=edit.sigma / 255, p=1.0),
        Pixelise: _pixelise,
        Jpeg: _jpeg,
    }

    def decode(self, data: bytes) -> Tensor:
        packed = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return decode_jpeg(packed, ImageReadMode.RGB)[None] / 255

    def native(self, pixels: Pixels) -> Tensor:
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None] / 255

    def row(self, picture: Tensor) -> Tensor:
        return picture[0]

    def one_batch(self, pictures: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(pictures))

    def singles(self, batch: Tensor) -> Sequence[Tensor]:
        return batch.split(1)

    def pixels(self, picture: Any) -> Pixels:
        scaled = (255 * picture[0]).round().clip(0, 255).to(torch.uint8)
        return np.ascontiguousarray(scaled.numpy().transpose(1, 2, 0))

    def size(self, picture: Tensor) -> Size:
        return (picture.shape[3], picture.shape[2])
