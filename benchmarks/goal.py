"""A figure that was aimed at, and what came out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Goal:
    """figure None: it could not be measured here (or a run failed)."""

    text: str
    wanted: float
    figure: float | None
    at_most: bool = False  # the figure should be at most `wanted`, not at least
    unit: str = "x"

    @property
    def verdict(self) -> str:
        if self.figure is None:
            return "not measured"
        return (
            "met"
            if (self.figure <= self.wanted if self.at_most else self.figure >= self.wanted)
            else "missed"
        )

    def cells(self) -> list[str]:
        sign = "<=" if self.at_most else ">="
        figure = "-" if self.figure is None else f"{self.figure:.3g} {self.unit}"
        return [self.text, figure, f"{sign} {self.wanted:.3g} {self.unit}", self.verdict]

    def line(self) -> str:
        text, figure, wanted, verdict = self.cells()
        return f"{text:<66} {figure:>10}  {wanted:>12}  {verdict}"
