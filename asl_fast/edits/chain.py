"""A list of edits: lowered to steps, drawn, traced, printed, written as JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from asl_fast.edits.edit import Edit, Pixels, Pool
from asl_fast.edits.geometry import canvas
from asl_fast.edits.plain import from_plain, to_plain
from asl_fast.edits.render import draw
from asl_fast.edits.render.plan import PlannedStep, planned
from asl_fast.edits.steps import Size, Step, Warp, size_after
from asl_fast.edits.trace import Trace, trace


class View(NamedTuple):
    """An edited picture, and where each of its pixels came from."""

    pixels: Pixels
    trace: Trace


class _Lowered:
    """A chain for pictures of one size."""

    def __init__(self, steps: list[Step], size: Size) -> None:
        self.steps = steps
        self._size = size

    @cached_property
    def plan(self) -> list[PlannedStep]:
        return planned(self.steps, self._size)

    @cached_property
    def trace(self) -> Trace:
        return trace(self.steps, self._size)


@dataclass(frozen=True)
class Chain:
    """Edits in the order they are applied; an empty chain leaves the picture as it is.

    All that is random was drawn when the edits were: a chain gives the same pixels every time.
    """

    edits: tuple[Edit, ...] = ()
    _last: dict[Size, _Lowered] = field(default_factory=dict, init=False, repr=False, compare=False)

    def steps(self, size: Size) -> list[Step]:
        """What an executor does to a picture of this (width, height); one too large to be drawn is shrunk."""
        return list(self._lowered(size).steps)

    def _lowered(self, size: Size) -> _Lowered:
        """Of the last size it is kept: who samples a chain looks at its trace before it is drawn."""
        kept = self._last.get(size)
        if kept is None:
            kept = _Lowered(self._made_steps(size), size)
            self._last.clear()
            self._last[size] = kept
        return kept

    def _made_steps(self, size: Size) -> list[Step]:
        matrix, drawable = canvas(np.eye(3), size)
        steps: list[Step] = [] if drawable == size or not self.edits else [Warp(matrix, drawable)]
        size = size_after(steps, size)
        for edit in self.edits:
            more = edit.steps(size)
            size = size_after(more, size)
            steps += more
        return steps

    def apply(self, pixels: Pixels, pool: Pool) -> Pixels:
        """The edited picture, RGB (height, width, 3); `pixels` is not changed. pool: other photos."""
        return draw(self._lowered(_size(pixels)).plan, pixels, pool)

    def view(self, pixels: Pixels, pool: Pool) -> View:
        """The edited picture with its trace."""
        lowered = self._lowered(_size(pixels))
        return View(draw(lowered.plan, pixels, pool), lowered.trace)

    def trace(self, size: Size) -> Trace:
        """Where each pixel of the view of a picture of this (width, height) comes from."""
        return self._lowered(size).trace

    def to_json(self) -> str:
        return json.dumps([to_plain(edit) for edit in self.edits])

    @classmethod
    def from_json(cls, text: str) -> Chain:
        """The chain that `to_json` wrote. ValueError names what is no edit or has a wrong parameter."""
        try:
            told = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"chain: is not JSON ({error})") from None
        if not isinstance(told, list):
            raise ValueError(f"chain: must be a JSON list of edits, got {type(told).__name__}")
        return cls(tuple(from_plain(edit) for edit in told))

    def __str__(self) -> str:
        """One readable line."""
        return " > ".join(_told(edit) for edit in self.edits) or "(as it is)"


def _size(pixels: Pixels) -> Size:
    return (pixels.shape[1], pixels.shape[0])


def _told(edit: Edit) -> str:
    values = [getattr(edit, field.name) for field in dataclasses.fields(edit)]  # type: ignore[arg-type]
    return f"{type(edit).__name__}({', '.join(_short(value) for value in values)})"


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, tuple):
        return f"({' '.join(_short(part) for part in value)})"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value)
