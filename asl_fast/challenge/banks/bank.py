"""What a bank of edits is. A chain is JSON text: with the same photos it gives the same pixels every time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

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
BANKS = {"own": "own", "augly": "augly"}  # name -> module


class Bank(Protocol):
    """A module. A chain is drawn from `rng` alone: a JSON list of edits, {"kind": ..., and parameters}."""

    def versions(self) -> dict[str, str]:
        """Of what draws the pictures."""
        ...

    def copy(self, family: str, strength: str, rng: np.random.Generator) -> str:
        """A chain of one of FAMILIES at one of STRENGTHS."""
        ...

    def light(self, rng: np.random.Generator) -> str:
        """What happens on the way: colours, size, compression. It shows all that the photo shows."""
        ...

    def apply(self, chain: str, photo: Pixels, backgrounds: Sequence[Pixels]) -> Pixels:
        """The edited picture, RGB (height, width, 3). backgrounds: other photos, for edits that need one."""
        ...


def bank_named(name: str) -> Bank:
    """One of BANKS; it is imported now. InputError where what it needs is missing."""
    module: Bank = import_module(f"asl_fast.challenge.banks.{BANKS[name]}")
    return module


def told(chain: str) -> str:
    """A chain in one readable line."""
    return " > ".join(_told(edit) for edit in json.loads(chain)) if chain else "(as it is)"


def _told(edit: dict[str, Any]) -> str:
    values = [f"{name} {_short(value)}" for name, value in edit.items() if name != "kind"]
    return f"{edit['kind']}({', '.join(values)})"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_short, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)
