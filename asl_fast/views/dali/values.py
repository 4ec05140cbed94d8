"""Colours, tables, shade, noise and screens: every pixel in its place, or shuffled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import nvidia.dali.experimental.dynamic as ndd
import torch
from nvidia.dali.types import DALIInterpType

from asl_fast.edits.steps import AddNoise, FlattenHistogram, Lookup, Recolour, Screen, Shade, ShufflePixels
from asl_fast.views.dali.station import Picture, Station, each, parts, size_of

_GREY = np.array([[0.299, 0.587, 0.114]])
_GREY_FIXED = (4899, 9617, 1868)  # the same, times 2^14, as OpenCV has it
Drawn = TypeVar("Drawn")


def recolour(pictures: Sequence[Picture], steps: Sequence[Recolour], station: Station) -> list[Picture]:
    matrix_B34 = each([step.matrix for step in steps])
    return parts(ndd.coord_transform(station.batch(pictures), MT=matrix_B34, dtype=ndd.uint8))


def flatten_histogram(
    pictures: Sequence[Picture], steps: Sequence[FlattenHistogram], station: Station
) -> list[Picture]:
    """The change of the brightness is added to every channel, as going over YCrCb and back does."""
    batch = station.batch(pictures)
    shade = ndd.coord_transform(batch, M=each([_GREY] * len(steps)), dtype=ndd.uint8)
    change = ndd.cast(ndd.equalize(shade), dtype=ndd.float32) - shade
    share = ndd.coord_transform(change, M=each([[[step.share]] * 3 for step in steps]), dtype=ndd.float32)
    return parts(ndd.cast(batch + share, dtype=ndd.uint8))


def shade(pictures: Sequence[Picture], steps: Sequence[Shade], station: Station) -> list[Picture]:
    coarse = station.batch(station.sent([np.asarray(step.gain, np.float32)[:, :, None] for step in steps]))
    size_B2 = each([size_of(picture)[::-1] for picture in pictures])
    linear = DALIInterpType.INTERP_LINEAR
    gain = ndd.resize(coarse, size=size_B2, interp_type=linear, antialias=False, dtype=ndd.float32)
    gain = ndd.coord_transform(gain, M=each(np.ones((len(steps), 3, 1))), dtype=ndd.float32)
    return parts(ndd.cast(station.batch(pictures) * gain, dtype=ndd.uint8))


def lookup(pictures: Sequence[Picture], steps: Sequence[Lookup], station: Station) -> list[Picture]:
    return _one_by_one(_looked_up, pictures, steps, station)


def add_noise(pictures: Sequence[Picture], steps: Sequence[AddNoise], station: Station) -> list[Picture]:
    return _one_by_one(_noisy, pictures, steps, station)


def shuffle_pixels(
    pictures: Sequence[Picture], steps: Sequence[ShufflePixels], station: Station
) -> list[Picture]:
    return _one_by_one(_shuffled, pictures, steps, station)


def screen(pictures: Sequence[Picture], steps: Sequence[Screen], station: Station) -> list[Picture]:
    return _one_by_one(_screened, pictures, steps, station)


def _one_by_one(
    draw: Callable[[torch.Tensor, Drawn], torch.Tensor],
    pictures: Sequence[Picture],
    steps: Sequence[Drawn],
    station: Station,
) -> list[Picture]:
    """With PyTorch on the device: each picture has a seed or a table of its own, which no operator takes."""
    pairs = zip(pictures, steps, strict=True)
    return station.from_torch([draw(station.as_torch(picture), step) for picture, step in pairs])


def _looked_up(pixels_HWC: torch.Tensor, step: Lookup) -> torch.Tensor:
    table = step.table if step.table.ndim == 2 else np.repeat(step.table[:, None], 3, axis=1)
    table_N = torch.from_numpy(np.ascontiguousarray(table).reshape(-1)).to(pixels_HWC.device)
    channel_C = torch.arange(3, device=pixels_HWC.device)
    return table_N[3 * pixels_HWC.long() + channel_C]


def _noisy(pixels_HWC: torch.Tensor, step: AddNoise) -> torch.Tensor:
    generator = _seeded(step.seed, pixels_HWC)
    device, (height, width, _) = pixels_HWC.device, pixels_HWC.shape
    if step.sigma > 0:
        noise_HWC = torch.randn(pixels_HWC.shape, generator=generator, device=device)
        pixels_HWC = (pixels_HWC + step.sigma * noise_HWC).round_().clamp_(0, 255).to(torch.uint8)
    if step.salt_share > 0:
        number = round(step.salt_share * width * height)
        place_S = torch.randint(width * height, (number,), generator=generator, device=device)
        white_S = torch.randint(2, (width * height,), generator=generator, device=device)[place_S]
        pixels_HWC = pixels_HWC.clone()
        pixels_HWC.view(-1, 3)[place_S] = (255 * white_S).to(torch.uint8)[:, None]
    return pixels_HWC


def _shuffled(pixels_HWC: torch.Tensor, step: ShufflePixels) -> torch.Tensor:
    generator = _seeded(step.seed, pixels_HWC)
    device, (height, width, channels) = pixels_HWC.device, pixels_HWC.shape
    flat_NC = pixels_HWC.reshape(-1, channels).clone()
    number = round(step.share * width * height)
    place_S = torch.randperm(width * height, generator=generator, device=device)[:number]
    other_S = place_S[torch.randperm(number, generator=generator, device=device)]
    flat_NC[place_S] = flat_NC[other_S]
    return flat_NC.view(height, width, channels)


def _screened(pixels_HWC: torch.Tensor, step: Screen) -> torch.Tensor:
    height, width, _ = pixels_HWC.shape
    picture = pixels_HWC.int()
    if step.grey:
        red, green, blue = picture.unbind(2)
        weight = _GREY_FIXED
        grey = (red * weight[0] + green * weight[1] + blue * weight[2] + (1 << 13)) >> 14
        picture = grey[:, :, None]
    rows, columns = step.tile.shape
    most = step.levels - 1
    # as on the CPU: a threshold is a share of the values that make one level
    threshold = torch.from_numpy(np.rint(step.tile * (255 / most) - 0.5).astype(np.int32)).to(picture.device)
    repeated = threshold.repeat(-(-height // rows), -(-width // columns))[:height, :width, None]
    level = (picture + repeated).clamp_(max=255) * most // 255
    return (level * 255 // most).to(torch.uint8).expand(height, width, 3)


def _seeded(seed: int, pixels: torch.Tensor) -> torch.Generator:
    return torch.Generator(pixels.device).manual_seed(seed)
