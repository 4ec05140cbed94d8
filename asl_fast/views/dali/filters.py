"""Blurs, small kernels, medians and recompression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import torch

from asl_fast.edits.steps import Convolve, GaussianBlur, MedianFilter, Recompress
from asl_fast.views.dali.station import Picture, Station, each


def gaussian_blur(
    pictures: Sequence[Picture], steps: Sequence[GaussianBlur], station: Station
) -> list[Picture]:
    sigma_B = each([step.sigma_px for step in steps])
    return list(ndd.gaussian_blur(station.batch(pictures), sigma=sigma_B).tensors)


def convolve(pictures: Sequence[Picture], steps: Sequence[Convolve], station: Station) -> list[Picture]:
    kernels = ndd.as_batch([np.asarray(step.kernel, np.float32) for step in steps], device=station.device)
    return list(ndd.filter(station.batch(pictures), kernels).tensors)


def recompress(pictures: Sequence[Picture], steps: Sequence[Recompress], station: Station) -> list[Picture]:
    quality_B = each([step.quality for step in steps], np.int32)
    return list(ndd.jpeg_compression_distortion(station.batch(pictures), quality=quality_B).tensors)


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
