"""asl_fast's own edits as a bank, with other parameters than training's. A chain is Chain's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

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
from asl_fast.edits import Chain, Crop, Edit
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.meme import Meme
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.screenshot import Screenshot
from asl_fast.edits.compositing.stripe import Stripe
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


def versions() -> dict[str, str]:
    return {"opencv": version("opencv-python-headless"), "numpy": version("numpy")}


def copy(family: str, strength: str, rng: Rng) -> str:
    return Chain(tuple(_FAMILIES.draw(family, strength, rng))).to_json()


def light(rng: Rng) -> str:
    brightness, contrast, saturation = within(rng, 0.9, 1.1), within(rng, 0.9, 1.1), within(rng, 0.85, 1.15)
    edits: tuple[Edit, ...] = (
        Colour(brightness=brightness, contrast=contrast, saturation=saturation, hue=0.0),
        Shrink(edge_share=within(rng, 0.6, 1)),
    )
    return Chain((*(edit for edit in edits if chance(rng, 0.6)), Jpeg(quality=whole(rng, 50, 90)))).to_json()


def apply(chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
    return Chain.from_json(chain).apply(photo, backgrounds)


def _crop(rng: Rng, strength: int) -> list[Edit]:
    left, top, width, height = crop_box(rng, strength)
    return [Crop(left=left, top=top, width=width, height=height)]


def _paste(rng: Rng, strength: int) -> list[Edit]:
    edge = at(rng, strength, (0.65, 0.85), (0.45, 0.65), (0.3, 0.45))
    return [Paste(other=share(rng), edge_share=edge, left=share(rng), top=share(rng))]


def _stickers(rng: Rng, strength: int) -> list[Edit]:
    kinds = (_caption, _emoji, _overlay)
    return [kinds[rng.integers(3)](rng, strength) for _ in range(strength + 1)]


def _caption(rng: Rng, strength: int) -> Edit:
    height = at(rng, strength, (0.06, 0.1), (0.1, 0.16), (0.15, 0.25))
    return replace(Caption.sample(rng, 1.0), height=height, top=within(rng, 0, 1 - height))


def _emoji(rng: Rng, strength: int) -> Edit:
    return replace(Emoji.sample(rng, 1.0), edge=at(rng, strength, (0.12, 0.22), (0.2, 0.35), (0.3, 0.55)))


def _overlay(rng: Rng, strength: int) -> Edit:
    edge = at(rng, strength, (0.2, 0.3), (0.3, 0.45), (0.45, 0.6))
    return replace(Overlay.sample(rng, 1.0), edge_share=edge)


def _screen(rng: Rng, strength: int) -> list[Edit]:
    if chance(rng, 0.5):
        height = at(rng, strength, (0.08, 0.12), (0.12, 0.2), (0.2, 0.3))
        return [replace(Meme.sample(rng, 1.0), height=height)]
    above, below = (at(rng, strength, (0.1, 0.2), (0.2, 0.4), (0.4, 0.8)) for _ in range(2))
    return [replace(Screenshot.sample(rng, 1.0), above=above, below=below)]


def _colour(rng: Rng, strength: int) -> list[Edit]:
    brightness, contrast, saturation = (
        either_way(rng, at(rng, strength, (0.75, 0.9), (0.55, 0.75), (0.35, 0.55))) for _ in range(3)
    )
    hue = signed(rng, at(rng, strength, (0, 8), (8, 25), (25, 60)))
    grey: list[Edit] = [Grayscale()] if chance(rng, 0.3) else []
    return [*grey, Colour(brightness=brightness, contrast=contrast, saturation=saturation, hue=hue)]


def _blur(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        return [Blur(radius_share=at(rng, strength, (0.003, 0.007), (0.007, 0.015), (0.015, 0.03)))]
    if kind == 1:
        sigma = at(rng, strength, (8, 15), (15, 35), (35, 60))
        return [Noise(sigma=sigma, salt_share=0.0, seed=seed(rng))]
    return [Pixelise(ratio=at(rng, strength, (0.4, 0.7), (0.2, 0.4), (0.1, 0.2)))]


def _rescale(rng: Rng, strength: int) -> list[Edit]:
    edge = at(rng, strength, (0.5, 0.8), (0.3, 0.5), (0.15, 0.3))
    return [Shrink(edge_share=edge), Jpeg(quality=whole_at(rng, strength, (40, 70), (15, 40), (4, 15)))]


def _turn(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        degrees = signed(rng, at(rng, strength, (3, 10), (10, 25), (25, 45)))
        if strength == 2 and chance(rng, 0.4):
            degrees = float(rng.choice((90, 180, 270)))
        return [Rotate(degrees=degrees, fill=colour(rng))]
    if kind == 1:
        inward = [at(rng, strength, (0, 0.06), (0, 0.14), (0.05, 0.25)) for _ in range(8)]
        a, b, c, d, e, f, g, h = inward
        return [Perspective(inward=(a, b, c, d, e, f, g, h), fill=colour(rng))]
    shear = signed(rng, at(rng, strength, (0.05, 0.15), (0.15, 0.35), (0.35, 0.6)))
    x, y = (shear, 0.0) if chance(rng, 0.5) else (0.0, shear)
    return [Affine(shear_x=x, shear_y=y, scale_x=1.0, scale_y=1.0, fill=colour(rng))]


def _frame(rng: Rng, strength: int) -> list[Edit]:
    kind = rng.integers(3)
    if kind == 0:
        left, top, right, bottom = (at(rng, strength, (0, 0.12), (0.1, 0.25), (0.2, 0.5)) for _ in range(4))
        return [Pad(left=left, top=top, right=right, bottom=bottom, fill=colour(rng))]
    if kind == 1:
        width = at(rng, strength, (0.03, 0.1), (0.1, 0.2), (0.2, 0.35))
        upright = chance(rng, 0.5)
        return [Stripe(upright=upright, start=within(rng, 0, 1 - width), width=width, fill=colour(rng))]
    return [Stretch(aspect=or_inverse(rng, at(rng, strength, (1.1, 1.3), (1.3, 1.7), (1.7, 2.4))))]


_FAMILIES = Families[Edit](
    {
        "crop": _crop, "turn": _turn, "colour": _colour, "blur": _blur, "frame": _frame,
        "stickers": _stickers, "paste": _paste, "screen": _screen, "rescale": _rescale,
    },
    flip=lambda upside_down: Flip(upside_down=upside_down),
    passed_on=lambda rng: Jpeg(quality=whole(rng, 60, 90)),
)  # fmt: skip
