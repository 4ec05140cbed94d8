"""Blurs, small kernels, medians and recompression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import torch

from asl_fast.edits.steps import Convolve, MedianFilter, Recompress
from asl_fast.views.dali.lowering import Blur
from asl_fast.views.dali.station import Picture, Station, each, parts


def blur(pictures: Sequence[Picture], blurs: Sequence[Blur], station: Station) -> list[Picture]:
    sigma_B2 = each([(one.sigma_y_px, one.sigma_x_px) for one in blurs])
    return parts(ndd.gaussian_blur(station.batch(pictures), sigma=sigma_B2))


def convolve(pictures: Sequence[Picture], steps: Sequence[Convolve], station: Station) -> list[Picture]:
    kernels = ndd.as_batch([np.asarray(step.kernel, np.float32) for step in steps], device=station.device)
    return parts(ndd.filter(station.batch(pictures), kernels))


def recompress(pictures: Sequence[Picture], steps: Sequence[Recompress], station: Station) -> list[Picture]:
    quality_B = each([step.quality for step in steps], np.int32)
    return parts(ndd.jpeg_compression_distortion(station.batch(pictures), quality=quality_B))


def median_filter(
    pictures: Sequence[Picture], steps: Sequence[MedianFilter], station: Station
) -> list[Picture]:
    """With PyTorch: DALI's operator runs on GPUs only."""
    pairs = zip(pictures, steps, strict=True)
    return station.from_torch([_median(station.as_torch(one), step.edge_px) for one, step in pairs])


def _median(pixels_HWC: torch.Tensor, edge_px: int) -> torch.Tensor:
    """Of the edge x edge pixels around, borders repeated, in each channel."""
    height, width, channels = pixels_HWC.shape
    reach = edge_px // 2
    row = torch.arange(-reach, height + reach, device=pixels_HWC.device).clamp_(0, height - 1)
    column = torch.arange(-reach, width + reach, device=pixels_HWC.device).clamp_(0, width - 1)
    padded = pixels_HWC[row][:, column]
    window_HWCKK = padded.unfold(0, edge_px, 1).unfold(1, edge_px, 1)
    return window_HWCKK.reshape(height, width, channels, -1).median(-1).values
