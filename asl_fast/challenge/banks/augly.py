"""AugLy's edits as a bank (the extra `bench`): those of the DISC21 challenge, which training never shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from asl_fast.challenge.banks import augly_edits
from asl_fast.challenge.banks.bank import Pixels
from asl_fast.challenge.banks.drawing import (
    Families,
    Rng,
    at,
    chance,
    colour,
    crop_box,
    either_way,
    or_inverse,
    seed,
    share,
    signed,
    whole,
    whole_at,
    within,
)  # fmt: skip

Told = dict[str, Any]

_WORDS = ("when", "you", "see", "it", "again", "nobody", "me", "at", "monday", "best", "day", "ever", "wait")
_LETTERS = 1000  # AugLy takes letters by number, of each font's own list


def versions() -> dict[str, str]:
    return augly_edits.versions()


def copy(family: str, strength: str, rng: Rng) -> str:
    return json.dumps(_FAMILIES.draw(family, strength, rng))


def light(rng: Rng) -> str:
    brightness, contrast, saturation = within(rng, 0.9, 1.1), within(rng, 0.9, 1.1), within(rng, 0.85, 1.15)
    edits: tuple[Told, ...] = (
        _told("jitter", brightness=brightness, contrast=contrast, saturation=saturation),
        _told("scale", factor=within(rng, 0.6, 1)),
    )
    return json.dumps(
        [*(edit for edit in edits if chance(rng, 0.6)), _told("jpeg", quality=whole(rng, 50, 90))]
    )


def apply(chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
    picture = Image.fromarray(photo)
    for told in json.loads(chain):
        picture = augly_edits.edited(told, picture, backgrounds)
    return np.asarray(picture)


def _told(kind: str, **parameters: Any) -> Told:
    return {"kind": kind, **parameters}


def _crop(rng: Rng, strength: int) -> list[Told]:
    left, top, width, height = crop_box(rng, strength)
    return [_told("crop", left=left, top=top, width=width, height=height)]


def _paste(rng: Rng, strength: int) -> list[Told]:
    edge = at(rng, strength, (0.65, 0.85), (0.45, 0.65), (0.3, 0.45))
    return [_told("paste", other=share(rng), edge=edge, left=share(rng), top=share(rng))]


def _stickers(rng: Rng, strength: int) -> list[Told]:
    kinds = (_text, _emoji, _overlay)
    return [kinds[rng.integers(3)](rng, strength) for _ in range(strength + 1)]


def _text(rng: Rng, strength: int) -> Told:
    return _told(
        "text",
        letters=rng.integers(0, _LETTERS, whole_at(rng, strength, (4, 8), (6, 14), (8, 20))).tolist(),
        font=share(rng),
        size=at(rng, strength, (0.06, 0.1), (0.1, 0.16), (0.15, 0.25)),
        colour=colour(rng),
        opacity=within(rng, 0.6, 1),
        left=within(rng, 0, 0.4),
        top=within(rng, 0, 0.8),
    )


def _emoji(rng: Rng, strength: int) -> Told:
    size = at(rng, strength, (0.12, 0.22), (0.2, 0.35), (0.3, 0.55))
    return _told("emoji", emoji=share(rng), size=size, opacity=within(rng, 0.7, 1), **_place(rng, size))


def _overlay(rng: Rng, strength: int) -> Told:
    size = at(rng, strength, (0.2, 0.3), (0.3, 0.45), (0.45, 0.6))
    return _told("overlay", other=share(rng), size=size, opacity=within(rng, 0.7, 1), **_place(rng, size))


def _place(rng: Rng, size: float) -> dict[str, float]:
    return {"left": within(rng, 0, 1 - size), "top": within(rng, 0, 1 - size)}


def _screen(rng: Rng, strength: int) -> list[Told]:
    if chance(rng, 0.5):
        text = " ".join(rng.choice(_WORDS, whole(rng, 2, 5)).tolist())
        bar = at(rng, strength, (0.1, 0.2), (0.2, 0.4), (0.4, 0.8))
        black, white = (0, 0, 0), (255, 255, 255)
        ink, paper = (black, white) if chance(rng, 0.7) else (white, black)
        meme = _told("meme", text=text, bar=bar, ink=ink, paper=paper)
        return [meme, *(_stickers(rng, 0) if strength == 2 else [])]
    screen = _told("screenshot", template=share(rng), cropped=strength > 0)
    return [screen] if strength < 2 else [screen, _emoji(rng, 0), _told("jpeg", quality=whole(rng, 20, 50))]


def _colour(rng: Rng, strength: int) -> list[Told]:
    brightness, contrast, saturation = (
        either_way(rng, at(rng, strength, (0.75, 0.9), (0.55, 0.75), (0.35, 0.55))) for _ in range(3)
    )
    grey = [_told("grey")] if chance(rng, 0.3) else []
    return [*grey, _told("jitter", brightness=brightness, contrast=contrast, saturation=saturation)]


def _blur(rng: Rng, strength: int) -> list[Told]:
    kind = rng.integers(5)
    if kind == 0:
        return [_told("blur", radius=at(rng, strength, (0.003, 0.007), (0.007, 0.015), (0.015, 0.03)))]
    if kind == 1:
        return [_told("pixelise", ratio=at(rng, strength, (0.4, 0.7), (0.2, 0.4), (0.1, 0.2)))]
    if kind == 2:
        factor = at(rng, strength, (0.02, 0.05), (0.05, 0.12), (0.12, 0.3))
        return [_told("shuffle", factor=factor, seed=seed(rng))]
    noise = _told(
        "noise", variance=at(rng, strength, (0.002, 0.005), (0.005, 0.02), (0.02, 0.06)), seed=seed(rng)
    )
    return (
        [noise]
        if kind == 3
        else [_told("sharpen", factor=at(rng, strength, (2, 4), (4, 10), (10, 25))), noise]
    )


def _rescale(rng: Rng, strength: int) -> list[Told]:
    factor = at(rng, strength, (0.5, 0.8), (0.3, 0.5), (0.15, 0.3))
    return [
        _told("scale", factor=factor),
        _told("jpeg", quality=whole_at(rng, strength, (40, 70), (15, 40), (4, 15))),
    ]


def _turn(rng: Rng, strength: int) -> list[Told]:
    kind = rng.integers(3)
    if kind == 0:
        degrees = signed(rng, at(rng, strength, (3, 10), (10, 25), (25, 45)))
        if strength == 2 and chance(rng, 0.4):
            degrees = float(rng.choice((90, 180, 270)))
        return [_told("rotate", degrees=degrees)]
    if kind == 1:
        sigma = at(rng, strength, (0.03, 0.05), (0.05, 0.09), (0.09, 0.14))
        return [_told("perspective", sigma=sigma, seed=seed(rng))]
    factor = signed(rng, at(rng, strength, (0.05, 0.15), (0.15, 0.35), (0.35, 0.6)))
    return [_told("skew", factor=factor, axis=whole(rng, 0, 1))]


def _frame(rng: Rng, strength: int) -> list[Told]:
    kind = rng.integers(3)
    if kind == 0:
        width, height = (at(rng, strength, (0.03, 0.1), (0.1, 0.25), (0.25, 0.5)) for _ in range(2))
        return [_told("pad", width=width, height=height, colour=colour(rng))]
    if kind == 1:
        stripes = _told(
            "stripes",
            width=at(rng, strength, (0.1, 0.2), (0.2, 0.35), (0.35, 0.5)),
            colour=colour(rng),
            angle=within(rng, -90, 90),
            density=at(rng, strength, (0.1, 0.3), (0.2, 0.4), (0.3, 0.6)),
            line=("solid", "dotted", "dashed")[rng.integers(3)],
            opacity=within(rng, 0.6, 1),
        )
        return [stripes]
    stretch = _told("stretch", aspect=or_inverse(rng, at(rng, strength, (1.1, 1.3), (1.3, 1.7), (1.7, 2.4))))
    return [stretch] if strength < 2 else [stretch, _told("square", colour=colour(rng))]


_FAMILIES = Families[Told](
    {
        "crop": _crop, "turn": _turn, "colour": _colour, "blur": _blur, "frame": _frame,
        "stickers": _stickers, "paste": _paste, "screen": _screen, "rescale": _rescale,
    },
    flip=lambda upside_down: _told("flip", upside_down=upside_down),
    passed_on=lambda rng: _told("jpeg", quality=whole(rng, 60, 90)),
)  # fmt: skip
