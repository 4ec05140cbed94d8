"""What a bank of edits is. A chain is JSON text: the same text and photos give the same pixels every time."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

STRENGTHS = ("easy", "medium", "hard")
FAMILIES = (
    "crop",  # a part of the photo
    "paste",  # the photo small on another one
    "stickers",  # text, emoji, pictures laid over it
    "screen",  # memes and screenshots
    "colour",
    "blur",  # and noise, pixels in blocks
    "rescale",  # and recompression
    "turn",  # rotation, perspective, skew
    "frame",  # padding, stripes, other proportions
    "flip",  # mirrored, and one more edit
    "chain",  # several of all these
)
BANKS = {"own": "own_edits", "augly": "augly_edits"}


class Bank(Protocol):
    """A module. Chains are drawn from `rng` alone; strength: one of STRENGTHS."""

    def versions(self) -> dict[str, str]:
        """Of what draws the pictures."""
        ...

    def copy(self, family: str, strength: str, rng: np.random.Generator) -> str:
        """A chain of this family."""
        ...

    def light(self, rng: np.random.Generator) -> str:
        """What happens on the way: colours, size, compression. It shows all that the photo shows."""
        ...

    def apply(self, chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
        """The edited picture, RGB (height, width, 3)."""
        ...


def bank_named(name: str) -> Bank:
    """One of BANKS; it is imported now. InputError where what it needs is missing."""
    module: Bank = import_module(f"asl_fast.challenge.{BANKS[name]}")
    return module
