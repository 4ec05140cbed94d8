"""What is measured: every edit that some peer has, alone, and chains of them drawn as BoT draws its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from asl_fast.edits import Chain, Crop, Edit, Fit
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.compositing.underlay import Underlay
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.equalise import Equalise
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.median import Median
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.posterise import Posterise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.photometric.shuffle import Shuffle
from asl_fast.edits.photometric.webp import Webp
from asl_fast.edits.recipes import BOT, Recipe, Turn

EDGE_PX = 224
PHOTO_SIZE = (500, 375)
GREY = (128, 128, 128)


@dataclass(frozen=True)
class Case:
    """One row's work: chain i is done to picture i.

    pictures: "squares" of 224 px or "photos" of 500 x 375 px.  bound: of the mean absolute difference between
    a peer's pixels and ours, in grey levels; None where no two programs draw the same (noise, letters, signs,
    chains of them), and the sizes alone are compared.
    """

    name: str
    chains: tuple[Chain, ...]
    pictures: str = "squares"
    bound: float | None = 2.0


def single_edits(num_pictures: int) -> list[Case]:
    """Typical strengths; every picture is edited alike."""

    def case(name: str, edit: Edit, bound: float | None = 2.0, pictures: str = "squares") -> Case:
        return Case(name, (Chain((edit,)),) * num_pictures, pictures, bound)

    inward = (0.1, 0.05, 0.02, 0.12, 0.08, 0.03, 0.05, 0.1)
    return [
        case("resize 500 x 375", Fit(edge_px=EDGE_PX), 4.0, "photos"),
        case("crop", Crop(left=0.1, top=0.2, width=0.7, height=0.6), 0.0),
        case("flip", Flip(upside_down=False), 0.0),
        # torchvision's canvas is a pixel smaller, AugLy takes the nearest pixel
        case("rotate", Rotate(degrees=20.0, fill=GREY), 12.0),
        case("perspective", Perspective(inward=inward, fill=GREY)),
        case("pad", Pad(left=0.1, top=0.15, right=0.1, bottom=0.15, fill=GREY), 0.0),
        # the others clip after every factor, and take contrast about the picture's mean
        case("colour", Colour(brightness=1.2, contrast=0.9, saturation=1.3, hue=0.0), 14.0),
        case("grayscale", Grayscale()),
        case("gamma", Gamma(exponent=1.5)),
        case("posterise", Posterise(levels=16), 12.0),  # the others leave the low bits 0: darker
        case("equalise", Equalise(share=1.0)),
        case("blur", Blur(radius_share=0.01)),
        case("sharpen", Sharpen(amount=1.0), 4.0),  # two 3 x 3 kernels are in use
        case("median", Median(edge_share=0.02)),
        case("noise", Noise(sigma=20.0, salt_share=0.0, seed=1), None),
        case("pixelise", Pixelise(ratio=0.3), 12.0),  # AugLy grows the cells smoothly
        case("shuffle", Shuffle(share=0.2, seed=1), None),
        case("jpeg", Jpeg(quality=30), 6.0),  # albumentations takes red for blue
        case("webp", Webp(quality=30), 8.0),
        case("emoji", _EMOJI, None),
        case("caption", _CAPTION, None),
        case("overlay", Overlay(other=0.5, edge_share=0.4, left=0.3, top=0.3, opacity=1.0, degrees=0.0), 4.0),
        case("paste", Paste(other=0.5, edge_share=0.7, left=0.4, top=0.6), 4.0),
        case("stripe", Stripe(upright=False, start=0.4, width=0.2, fill=GREY), 0.0),
    ]


_EMOJI = Emoji(
    character="😀", x=0.5, y=0.5, edge=0.3, degrees=0.0, opacity=1.0, ink=(60, 35, 10), disc=(255, 204, 50)
)
_CAPTION = Caption(
    text="a line of words",
    font=0,
    height=0.1,
    left=0.05,
    top=0.5,
    fill=(255, 255, 255),
    outline=None,
    box=None,
    opacity=1.0,
    degrees=0.0,
)

# BoT's chain with its chances, less the photo underneath, which no peer has, and recompressed at the end.
RECIPE = Recipe(
    "bench",
    (*(turn for turn in BOT.turns if turn.kinds != (Underlay,)), Turn(0.4, (Jpeg,))),
)


def drawn_chains(num_chains: int) -> tuple[Chain, ...]:
    """Of `RECIPE` at full strength, each with a crop first and 224 px last, as plain as the peers' edits."""
    fit = Fit(edge_px=EDGE_PX)
    chains = (
        RECIPE.sample(np.random.default_rng(seed), fit=fit, size=PHOTO_SIZE) for seed in range(num_chains)
    )
    return tuple(Chain(tuple(_plain(edit) for edit in chain.edits)) for chain in chains)


def _plain(edit: Edit) -> Edit:
    """The edit without what only ours has: turned or see-through letters and signs, uneven frames."""
    if isinstance(edit, Caption):
        return dataclasses.replace(edit, outline=None, box=None, opacity=1.0, degrees=0.0)
    if isinstance(edit, Emoji):
        return dataclasses.replace(edit, opacity=1.0, degrees=0.0)
    if isinstance(edit, Colour):
        return dataclasses.replace(edit, hue=0.0)  # theirs turn it in HSV, ours about the grey axis
    if isinstance(edit, Pad):
        return dataclasses.replace(edit, right=edit.left, bottom=edit.top)
    return edit
