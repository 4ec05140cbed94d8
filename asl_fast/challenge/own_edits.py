"""asl_fast's own edits as a bank, with other parameters than training's. A chain is Chain's JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from asl_fast.challenge.bank import FAMILIES, STRENGTHS
from asl_fast.edits import Chain, Crop, Edit
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.meme import Meme
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.screenshot import Screenshot
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.edit import sample_colour, sample_seed
from asl_fast.edits.geometric.affine import Affine
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.geometric.shrink import Shrink
from asl_fast.edits.geometric.stretch import Stretch
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise

Pixels = NDArray[np.uint8]
Rng = np.random.Generator
Range = tuple[float, float]


def versions() -> dict[str, str]:
    return {"opencv": version("opencv-python-headless"), "numpy": version("numpy")}


def copy(family: str, strength: str, rng: Rng) -> str:
    return Chain(tuple(_FAMILY[family](rng, STRENGTHS.index(strength)))).to_json()


def light(rng: Rng) -> str:
    edits: list[Edit] = [
        Colour(
            brightness=_in(rng, 0.9, 1.1),
            contrast=_in(rng, 0.9, 1.1),
            saturation=_in(rng, 0.85, 1.15),
            hue=0.0,
        ),
        Shrink(edge_share=_in(rng, 0.6, 1.0)),
    ]
    kept = [edit for edit in edits if rng.random() < 0.6]
    return Chain((*kept, Jpeg(quality=int(rng.integers(50, 91))))).to_json()


def apply(chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
    return Chain.from_json(chain).apply(photo, backgrounds)


def _in(rng: Rng, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _of(rng: Rng, strength: int, *ranges: Range) -> float:
    """ranges: those of easy, medium and hard."""
    return _in(rng, *ranges[strength])


def _either(rng: Rng, value: float) -> float:
    return value if rng.random() < 0.5 else 1 / value


def _sign(rng: Rng) -> int:
    return (-1, 1)[rng.integers(2)]


def _crop(rng: Rng, strength: int) -> list[Edit]:
    area = _of(rng, strength, (0.6, 0.85), (0.35, 0.6), (0.15, 0.35))
    stretch = _in(rng, 0.8, 1.25)
    width, height = min(1.0, math.sqrt(area * stretch)), min(1.0, math.sqrt(area / stretch))
    left, top = _in(rng, 0, 1 - width), _in(rng, 0, 1 - height)
    return [Crop(left=left, top=top, width=width, height=height)]


def _paste(rng: Rng, strength: int) -> list[Edit]:
    edge = _of(rng, strength, (0.65, 0.85), (0.45, 0.65), (0.3, 0.45))
    other, left, top = rng.random(3).tolist()
    return [Paste(other=other, edge_share=edge, left=left, top=top)]


def _stickers(rng: Rng, strength: int) -> list[Edit]:
    edits: list[Edit] = []
    for _ in range(strength + 1):
        kind = rng.integers(3)
        if kind == 0:
            height = _of(rng, strength, (0.06, 0.1), (0.1, 0.16), (0.15, 0.25))
            edits.append(replace(Caption.sample(rng, 1.0), height=height, top=_in(rng, 0, 1 - height)))
        elif kind == 1:
            edge = _of(rng, strength, (0.12, 0.22), (0.2, 0.35), (0.3, 0.55))
            edits.append(replace(Emoji.sample(rng, 1.0), edge=edge))
        else:
            share = _of(rng, strength, (0.2, 0.3), (0.3, 0.45), (0.45, 0.6))
            edits.append(replace(Overlay.sample(rng, 1.0), edge_share=share))
    return edits


def _screen(rng: Rng, strength: int) -> list[Edit]:
    if rng.random() < 0.5:
        return [
            replace(Meme.sample(rng, 1.0), height=_of(rng, strength, (0.08, 0.12), (0.12, 0.2), (0.2, 0.3)))
        ]
    above, below = (_of(rng, strength, (0.1, 0.2), (0.2, 0.4), (0.4, 0.8)) for _ in range(2))
    return [replace(Screenshot.sample(rng, 1.0), above=above, below=below)]


def _colour(rng: Rng, strength: int) -> list[Edit]:
    limits = ((0.75, 0.9), (0.55, 0.75), (0.35, 0.55))
    brightness, contrast, saturation = (_either(rng, _of(rng, strength, *limits)) for _ in range(3))
    hue = _sign(rng) * _of(rng, strength, (0, 8), (8, 25), (25, 60))
    grey: list[Edit] = [Grayscale()] if rng.random() < 0.3 else []
    return [*grey, Colour(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)]


def _blur(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        return [Blur(radius_share=_of(rng, strength, (0.003, 0.007), (0.007, 0.015), (0.015, 0.03)))]
    if kind == 1:
        sigma = _of(rng, strength, (8, 15), (15, 35), (35, 60))
        return [Noise(sigma=sigma, salt_share=0.0, seed=sample_seed(rng))]
    return [Pixelise(ratio=_of(rng, strength, (0.4, 0.7), (0.2, 0.4), (0.1, 0.2)))]


def _rescale(rng: Rng, strength: int) -> list[Edit]:
    low, high = ((40, 70), (15, 40), (4, 15))[strength]
    share = _of(rng, strength, (0.5, 0.8), (0.3, 0.5), (0.15, 0.3))
    return [Shrink(edge_share=share), Jpeg(quality=int(rng.integers(low, high + 1)))]


def _turn(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        quarter = strength == 2 and rng.random() < 0.4
        degrees = (
            float(rng.choice((90, 180, 270)))
            if quarter
            else _sign(rng) * _of(rng, strength, (3, 10), (10, 25), (25, 45))
        )
        return [Rotate(degrees=degrees, fill=sample_colour(rng))]
    if kind == 1:
        inward = [_of(rng, strength, (0, 0.06), (0, 0.14), (0.05, 0.25)) for _ in range(8)]
        a, b, c, d, e, f, g, h = inward
        return [Perspective(inward=(a, b, c, d, e, f, g, h), fill=sample_colour(rng))]
    shear = _sign(rng) * _of(rng, strength, (0.05, 0.15), (0.15, 0.35), (0.35, 0.6))
    across = rng.random() < 0.5
    return [
        Affine(
            shear_x=shear if across else 0.0,
            shear_y=0.0 if across else shear,
            scale_x=1.0,
            scale_y=1.0,
            fill=sample_colour(rng),
        )
    ]


def _frame(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        left, top, right, bottom = (
            _of(rng, strength, (0.0, 0.12), (0.1, 0.25), (0.2, 0.5)) for _ in range(4)
        )
        return [Pad(left=left, top=top, right=right, bottom=bottom, fill=sample_colour(rng))]
    if kind == 1:
        width = _of(rng, strength, (0.03, 0.1), (0.1, 0.2), (0.2, 0.35))
        upright = bool(rng.random() < 0.5)
        return [Stripe(upright=upright, start=_in(rng, 0, 1 - width), width=width, fill=sample_colour(rng))]
    return [Stretch(aspect=_either(rng, _of(rng, strength, (1.1, 1.3), (1.3, 1.7), (1.7, 2.4))))]


_SINGLE: dict[str, Callable[[Rng, int], list[Edit]]] = {
    "crop": _crop, "turn": _turn, "colour": _colour, "blur": _blur, "frame": _frame, "stickers": _stickers,
    "paste": _paste, "screen": _screen, "rescale": _rescale,
}  # fmt: skip


def _flip(rng: Rng, strength: int) -> list[Edit]:
    flip = Flip(upside_down=bool(strength == 2 and rng.random() < 0.3))
    if strength == 0:
        return [flip, Jpeg(quality=int(rng.integers(60, 91)))]
    return [flip, *_some(rng, 1, strength - 1)]


def _chain(rng: Rng, strength: int) -> list[Edit]:
    flip: list[Edit] = [Flip(upside_down=False)] if rng.random() < 0.3 else []
    return [*flip, *_some(rng, strength + 2, min(1, strength))]


def _some(rng: Rng, number: int, strength: int) -> list[Edit]:
    """Edits of so many families, in the order in which people do them: that of _SINGLE."""
    chosen = sorted(rng.permutation(len(_SINGLE))[:number].tolist())
    families = [list(_SINGLE.values())[place] for place in chosen]
    return [edit for family in families for edit in family(rng, strength)]


_FAMILY: dict[str, Callable[[Rng, int], list[Edit]]] = {**_SINGLE, "flip": _flip, "chain": _chain}
assert set(_FAMILY) == set(FAMILIES)
