"""A sampled list of edits: geometry first, then what is laid over or under, then how it is stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from asl_fast.edits.blur import Blur
from asl_fast.edits.caption import Caption
from asl_fast.edits.colour import Colour
from asl_fast.edits.edit import Edit, Pool
from asl_fast.edits.flip import Flip
from asl_fast.edits.grayscale import Grayscale
from asl_fast.edits.jpeg import Jpeg
from asl_fast.edits.pad import Pad
from asl_fast.edits.paste import Paste
from asl_fast.edits.rotate import Rotate
from asl_fast.edits.stripe import Stripe

# kind -> how often it comes at full strength; the order is the order of application
_KINDS: tuple[tuple[type[Edit], float], ...] = (
    (Flip, 0.35),
    (Rotate, 0.25),
    (Colour, 0.5),
    (Grayscale, 0.15),
    (Blur, 0.2),
    (Pad, 0.2),
    (Stripe, 0.2),
    (Paste, 0.2),
    (Caption, 0.25),
    (Jpeg, 0.4),
)


@dataclass(frozen=True)
class Chain:
    """Edits in the order they are applied; an empty chain leaves the picture as it is."""

    edits: tuple[Edit, ...] = ()

    def apply(self, image: Image.Image, pool: Pool) -> Image.Image:
        for edit in self.edits:
            image = edit.apply(image, pool)
        return image

    @property
    def visible_share(self) -> float:
        """Share of the picture that can still be seen, as if the edits hid parts independently."""
        return float(np.prod([edit.visible_share for edit in self.edits]))


def sample_chain(rng: np.random.Generator, strength: float) -> Chain:
    """A chain drawn from `rng` alone. strength: 0 (none) to 1 (the hardest), for how often and how much."""
    if not 0 <= strength <= 1:
        raise ValueError(f"sample_chain: strength must be in [0, 1], got {strength}")
    return Chain(
        tuple(kind.sample(rng, strength) for kind, often in _KINDS if rng.random() < often * strength)
    )
