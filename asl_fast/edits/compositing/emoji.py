"""A face or a sign stuck onto the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from asl_fast.edits.compositing.lettering import sign_over
from asl_fast.edits.patches import SignPatch
from asl_fast.edits.steps import Colour3, Size, Step

FACES = "😀😁😂😃😄😅😆😇😈😉😊😋😌😍😎😏😐😒😓😔😖😘😚😜😝😞😠😡😢😣😥😨😩😫😭😰😱😲😳😵😷"
SIGNS = "♥★☀☁☂☃☎☠☢☣☮☯♛♞♣♠♫⚑⚓⚠⚡✂✈✌✔✘❄❤"
_YELLOW: Colour3 = (255, 204, 50)


@dataclass(frozen=True, kw_only=True)
class Emoji:
    """x, y: of its middle; edge: all as shares of the picture's edges (edge: of the shorter one)."""

    character: str
    x: float
    y: float
    edge: float
    degrees: float
    opacity: float
    ink: Colour3
    disc: Colour3 | None

    @classmethod
    def sample(cls, rng: np.random.Generator, strength: float) -> Self:
        face = rng.random() < 0.6
        characters = FACES if face else SIGNS
        red, green, blue = rng.integers(0, 256, 3).tolist()
        return cls(
            character=characters[rng.integers(len(characters))],
            x=float(rng.uniform(0.1, 0.9)),
            y=float(rng.uniform(0.1, 0.9)),
            edge=float(rng.uniform(0.12, 0.2 + 0.5 * strength)),
            degrees=float(rng.uniform(-45, 45)) if rng.random() < 0.3 else 0.0,
            opacity=1.0 if rng.random() < 0.7 else float(rng.uniform(0.4, 1)),
            ink=(60, 35, 10) if face else (red, green, blue),
            disc=_YELLOW if face else None,
        )

    def steps(self, size: Size) -> list[Step]:
        sign = SignPatch(self.character, self.ink, self.disc)
        x, y = self.x * size[0], self.y * size[1]
        return [sign_over(sign, x, y, self.edge * min(size), opacity=self.opacity, degrees=self.degrees)]
