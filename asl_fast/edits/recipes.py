"""Recipes: which edits come how often and how strongly, in which order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asl_fast.edits.chain import Chain
from asl_fast.edits.compositing.caption import Caption
from asl_fast.edits.compositing.collage import Collage
from asl_fast.edits.compositing.emoji import Emoji
from asl_fast.edits.compositing.erasing import Erasing
from asl_fast.edits.compositing.meme import Meme
from asl_fast.edits.compositing.overlay import Overlay
from asl_fast.edits.compositing.paste import Paste
from asl_fast.edits.compositing.screenshot import Screenshot
from asl_fast.edits.compositing.shapes import Shapes
from asl_fast.edits.compositing.stripe import Stripe
from asl_fast.edits.compositing.underlay import Underlay
from asl_fast.edits.edit import Edit
from asl_fast.edits.geometric.affine import Affine
from asl_fast.edits.geometric.crop import Crop
from asl_fast.edits.geometric.fit import Fit
from asl_fast.edits.geometric.flip import Flip
from asl_fast.edits.geometric.pad import Pad
from asl_fast.edits.geometric.perspective import Perspective
from asl_fast.edits.geometric.rotate import Rotate
from asl_fast.edits.geometric.shrink import Shrink
from asl_fast.edits.geometric.stretch import Stretch
from asl_fast.edits.kinds import COMPOSITING, PHOTOMETRIC
from asl_fast.edits.photometric.blur import Blur
from asl_fast.edits.photometric.colour import Colour
from asl_fast.edits.photometric.equalise import Equalise
from asl_fast.edits.photometric.gamma import Gamma
from asl_fast.edits.photometric.grayscale import Grayscale
from asl_fast.edits.photometric.jpeg import Jpeg
from asl_fast.edits.photometric.line_drawing import LineDrawing
from asl_fast.edits.photometric.noise import Noise
from asl_fast.edits.photometric.pixelise import Pixelise
from asl_fast.edits.photometric.sharpen import Sharpen
from asl_fast.edits.photometric.shuffle import Shuffle
from asl_fast.edits.photometric.tone import Tone
from asl_fast.edits.photometric.webp import Webp
from asl_fast.edits.steps import Size

_WORKING_EDGE = 1.25  # edits are done at this many times the final edge: enlarging details costs sharpness
_TRIES = 8


@dataclass(frozen=True)
class Turn:
    """With this chance one of the kinds, each as likely as the others. strength: factor on the recipe's."""

    chance: float
    kinds: tuple[type[Edit], ...]
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.chance <= 1 and 0 <= self.strength <= 1):
            raise ValueError(
                f"Turn: chance and strength must be in [0, 1], got {self.chance} and {self.strength}"
            )


@dataclass(frozen=True)
class Recipe:
    """Turns in the order of application.

    Promise: of the photo's part that lies in the view, at least least_visible is not hidden, and it lies on
    at least least_shown of the view.
    """

    name: str
    turns: tuple[Turn, ...]
    least_visible: float = 0.15
    least_shown: float = 0.03

    def sample(
        self,
        rng: np.random.Generator,
        strength: float = 1.0,
        *,
        crop: Crop | None = None,
        fit: Fit | None = None,
        size: Size = (320, 240),
    ) -> Chain:
        """A chain drawn from `rng` alone. strength: 0 (none) to 1 (the hardest), for how often and how much.

        crop: comes first, instead of the recipe's own.  fit: comes last; the edits are then done on a
        picture little larger than it.  size: of the photo, on which the promise is kept.
        """
        if not 0 <= strength <= 1:
            raise ValueError(f"recipe {self.name}: strength must be in [0, 1], got {strength}")
        for _ in range(_TRIES):
            edits = self._drawn(rng, strength)
            first = crop if crop is not None or not edits or not isinstance(edits[0], Crop) else edits[0]
            edits = [edit for edit in edits if not isinstance(edit, Crop)]
            chain = _in_order(first, edits, fit)
            if self._keeps_promise(chain, size):
                return chain
        return _in_order(first, [edit for edit in edits if not isinstance(edit, COMPOSITING)], fit)

    def _drawn(self, rng: np.random.Generator, strength: float) -> list[Edit]:
        edits = []
        for turn in self.turns:
            if rng.random() < turn.chance * strength:
                kind = turn.kinds[rng.integers(len(turn.kinds))] if len(turn.kinds) > 1 else turn.kinds[0]
                edits.append(kind.sample(rng, strength * turn.strength))
        return edits

    def _keeps_promise(self, chain: Chain, size: Size) -> bool:
        traced = chain.trace(size)
        if traced.shown < self.least_shown:
            return False
        return traced.least_visible >= self.least_visible or traced.visible >= self.least_visible


def _in_order(crop: Edit | None, edits: list[Edit], fit: Fit | None) -> Chain:
    first = [] if crop is None else [crop]
    if fit is None:
        return Chain((*first, *edits))
    working = Fit(edge_px=round(_WORKING_EDGE * fit.edge_px), way="within")
    # what was pasted or framed has grown: it is saved at the size that it is shown in, like all the rest
    saved = next((place for place, edit in enumerate(edits) if isinstance(edit, Jpeg | Webp)), 0)
    again = [working] if saved else []
    return Chain((*first, working, *edits[:saved], *again, *edits[saved:], fit))


def _one(chance: float, kind: type[Edit], strength: float = 1.0) -> Turn:
    return Turn(chance, (kind,), strength)


# What people do most: the chain that the shipped model was trained with.
COMMON = Recipe(
    "common",
    (
        _one(0.35, Flip),
        _one(0.25, Rotate),
        _one(0.5, Colour),
        _one(0.15, Grayscale),
        _one(0.2, Blur),
        _one(0.2, Pad),
        _one(0.2, Stripe),
        _one(0.2, Paste),
        _one(0.25, Caption),
        _one(0.4, Jpeg),
    ),
)

# The offline chain of the simple baseline (BoT, arXiv 2111.08004), in its order and with its chances.
BOT = Recipe(
    "bot",
    (
        _one(1.0, Crop),
        _one(0.3, Rotate),
        _one(0.3, Pixelise),
        _one(0.3, Shuffle),
        _one(0.3, Perspective, 0.7),
        _one(0.3, Pad, 0.5),
        _one(0.3, Underlay, 0.5),
        _one(0.8, Colour),
        _one(1.0, Blur, 0.5),
        _one(0.3, Grayscale),
        _one(0.5, Flip),
        _one(0.3, Emoji),
        _one(0.3, Caption),
        _one(0.3, Caption),
        _one(0.2, Paste),
    ),
)

# After the challenge's report: severe crops, hiding in unrelated images, screenshots, and pixel edits on top.
DISC = Recipe(
    "disc",
    (
        _one(0.6, Crop),
        _one(0.3, Flip),
        Turn(0.35, (Rotate, Rotate, Perspective, Affine, Stretch)),
        Turn(0.6, (Colour, Colour, Grayscale, Tone, Gamma, Equalise)),
        Turn(0.35, PHOTOMETRIC[5:-1]),
        Turn(0.25, (Blur, Pixelise, Noise, Shuffle, Sharpen)),
        _one(0.02, LineDrawing),
        _one(0.2, Pad),
        Turn(0.45, (Paste, Paste, Overlay, Underlay, Collage)),
        Turn(0.35, (Caption, Emoji)),
        Turn(0.15, (Stripe, Shapes, Erasing)),
        Turn(0.25, (Screenshot, Meme)),
        Turn(0.4, (Jpeg, Jpeg, Jpeg, Webp)),
    ),
    least_visible=0.15,
    least_shown=0.03,
)

# What happens to a picture that is passed on without being changed on purpose.
MILD = Recipe(
    "mild",
    (
        _one(0.3, Crop, 0.3),
        _one(0.3, Shrink, 0.6),
        Turn(0.3, (Colour, Gamma), 0.3),
        _one(0.1, Sharpen, 0.3),
        _one(0.1, Pad, 0.3),
        _one(0.1, Caption, 0.2),
        Turn(0.7, (Jpeg, Jpeg, Webp), 0.6),
    ),
    least_visible=0.8,
    least_shown=0.5,
)

# The whole picture, or what was cropped out of it, small on another one, on a screen or in a collage.
HIDDEN = Recipe(
    "hidden",
    (
        _one(0.3, Crop, 0.4),
        _one(0.15, Flip),
        _one(0.15, Rotate),
        _one(0.3, Colour),
        Turn(1.0, (*(Paste,) * 4, Overlay, Collage, Screenshot, Screenshot, Meme, Underlay)),
        Turn(0.15, (Caption, Emoji)),
        Turn(0.4, (Jpeg, Jpeg, Webp)),
    ),
)

# Thumbnails and blurred pictures, saved with the worst quality.
POOR = Recipe(
    "poor",
    (
        _one(0.3, Crop, 0.5),
        _one(0.15, Flip),
        Turn(1.0, (Shrink, Shrink, Pixelise, Blur, Noise)),
        Turn(0.3, (Colour, Gamma)),
        Turn(0.8, (Jpeg, Jpeg, Webp)),
    ),
)


@dataclass(frozen=True)
class Mixture:
    """Every chain is drawn by one of several recipes. parts: chances that add up to 1, and the recipes."""

    name: str
    parts: tuple[tuple[float, Recipe], ...]

    @property
    def least_visible(self) -> float:
        return min(recipe.least_visible for _, recipe in self.parts)

    @property
    def least_shown(self) -> float:
        return min(recipe.least_shown for _, recipe in self.parts)

    def sample(
        self,
        rng: np.random.Generator,
        strength: float = 1.0,
        *,
        crop: Crop | None = None,
        fit: Fit | None = None,
        size: Size = (320, 240),
    ) -> Chain:
        """As `Recipe.sample`."""
        drawn = int(rng.choice(len(self.parts), p=[chance for chance, _ in self.parts]))
        return self.parts[drawn][1].sample(rng, strength, crop=crop, fit=fit, size=size)


# What the shipped model is trained with: hard chains, many hidden copies, poor ones, some hardly changed.
COPIES = Mixture("copies", ((0.45, DISC), (0.38, HIDDEN), (0.1, POOR), (0.07, MILD)))

RECIPES: dict[str, Recipe | Mixture] = {
    recipe.name: recipe for recipe in (COMMON, MILD, BOT, DISC, HIDDEN, POOR, COPIES)
}
