"""Thresholds of a model, as `asl-fast calibrate` measured them: thresholds.json beside its weights.

They are of the model's norms (tau) and of scores of one kind (the rest), so the file says which.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asl_fast import _C
from asl_fast.errors import InputError
from asl_fast.files import write_json

FILE = "thresholds.json"
FORMAT, VERSION = "asl_fast thresholds", 1
COSINE = "cosine"  # what scores are where nothing was done to them
_SHRUNK = ", soft ratio "
PAPERS_TAU = 1.0
MAX_WEIGHT = 1e6  # of a soft ratio; the search's bounds are float32 numbers


class Measured(NamedTuple):
    """A number of a fold, and where it lies in 95 % of bootstrap resamples of the fold's queries."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SoftRatio:
    """The soft filter: score - weight * max(0, log(ratio / tau)).

    It never raises a score, and leaves it alone where the ratio is at most tau. A great weight is the hard
    filter.
    """

    weight: float
    tau: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= MAX_WEIGHT:
            raise ValueError(f"soft ratio: weight must be from 0 to {MAX_WEIGHT:g}, got {self.weight}")
        if not (math.isfinite(self.tau) and self.tau > 0):
            raise ValueError(f"soft ratio: tau must be finite and above 0, got {self.tau}")

    def __str__(self) -> str:
        return f"{self.weight!r},{self.tau!r}"

    @property
    def formula(self) -> str:
        """To be read."""
        return f"score - {self.weight:.4g} max(0, log(ratio / {self.tau:.4g}))"

    @classmethod
    def parse(cls, text: str) -> SoftRatio:
        """WEIGHT,TAU, as `str` writes it. ValueError if it is anything else."""
        weight, _, tau = text.partition(",")
        return cls(weight=float(weight), tau=float(tau))

    def losses(self, ratio_M: NDArray[np.float64]) -> NDArray[np.float64]:
        """What pairs of these ratios lose, bit for bit as in a search; of any shape. nan loses nothing."""
        plain_M = np.ascontiguousarray(ratio_M, np.float64).ravel()
        return _C.soft_losses(plain_M, (self.weight, self.tau)).reshape(np.shape(ratio_M))

    def scores(self, score_M: NDArray[np.float64], ratio_M: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shrunk scores, of any shape; a ratio that is nan (no candidate) leaves its score alone."""
        return score_M - self.losses(ratio_M)


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The thresholds of highest recall with at least `goal` precision on the fold.

    precision, recall: of these thresholds on the fold, so a little flattered.
    held_back_precision, held_back_recall: of thresholds fitted without the queries that they judge; None
    where nothing passed.
    """

    goal: float
    min_score: Measured
    tau: Measured
    precision: Measured
    recall: Measured
    held_back_precision: float | None
    held_back_recall: float


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """fingerprint: of the model whose norms these are.  scores: what kind of score min_score is of.

    tau: of the hard filter.  soft: None where shrinking scores by the ratio brought
    nothing.  points: those that the fold reaches.  made_from: in a few words.
    """

    fingerprint: str
    scores: str
    tau: Measured
    soft: SoftRatio | None
    points: tuple[OperatingPoint, ...]
    num_queries: int
    num_truth: int
    num_pairs: int
    made_from: str = ""

    def point(self, goal: float) -> OperatingPoint:
        """ValueError, with what there is, if the fold did not reach it."""
        for point in self.points:
            if math.isclose(point.goal, goal, abs_tol=1e-9):
                return point
        there = ", ".join(f"{100 * point.goal:g}" for point in self.points) or "none"
        raise ValueError(
            f"the model's thresholds have no point of {100 * goal:g} % precision; "
            f"there are: {there}; calibrate it with --precision {100 * goal:g}, or give --min-score"
        )


def shrunk(scores: str, soft: SoftRatio | None) -> str:
    """The kind of score that a kind becomes."""
    return scores if soft is None else f"{scores}{_SHRUNK}{soft}"


def is_shrunk(scores: str) -> bool:
    """Whether scores of this kind have lost by the ratio already."""
    return _SHRUNK in scores


def write_thresholds(path: str | os.PathLike[str], thresholds: Thresholds) -> None:
    plain = _plain(thresholds)
    write_json(path, {"format": FORMAT, "version": VERSION, **plain})


def read_thresholds(path: str | os.PathLike[str]) -> Thresholds:
    """What `write_thresholds` wrote. InputError, one line, for anything else."""
    who = os.fspath(path)
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise InputError(f"{who} is not JSON; calibrate the model again") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise InputError(f'{who} has no "format": "{FORMAT}"; asl-fast calibrate writes such files')
    if raw.get("version") != VERSION:
        raise InputError(
            f"{who} is of version {raw.get('version')!r}, this asl_fast reads {VERSION}; update asl_fast"
        )
    try:
        return _thresholds(raw)
    except (KeyError, TypeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{who}: {what}; calibrate the model again") from None


def folder_thresholds(folder: str | os.PathLike[str]) -> Thresholds | None:
    """Those in a model's folder; None if it was never calibrated."""
    path = Path(folder) / FILE
    return read_thresholds(path) if path.is_file() else None


def _plain(value: Any) -> Any:
    if isinstance(value, Measured):
        return value._asdict()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _thresholds(raw: dict[str, Any]) -> Thresholds:
    soft = raw["soft"]
    return Thresholds(
        fingerprint=_text(raw, "fingerprint"),
        scores=_text(raw, "scores"),
        tau=_measured(raw, "tau", least=0),
        soft=None if soft is None else SoftRatio(weight=_number(soft, "weight"), tau=_number(soft, "tau")),
        points=tuple(_point(each) for each in raw["points"]),
        num_queries=int(_number(raw, "num_queries")),
        num_truth=int(_number(raw, "num_truth")),
        num_pairs=int(_number(raw, "num_pairs")),
        made_from=_text(raw, "made_from"),
    )


def _point(raw: dict[str, Any]) -> OperatingPoint:
    held_back = raw["held_back_precision"]
    return OperatingPoint(
        goal=_number(raw, "goal"),
        min_score=_measured(raw, "min_score"),
        tau=_measured(raw, "tau", least=0),
        precision=_measured(raw, "precision"),
        recall=_measured(raw, "recall"),
        held_back_precision=None if held_back is None else _number(raw, "held_back_precision"),
        held_back_recall=_number(raw, "held_back_recall"),
    )


def _measured(raw: dict[str, Any], name: str, least: float = -math.inf) -> Measured:
    measured = Measured(*(_number(raw[name], part) for part in Measured._fields))
    if measured.value <= least:
        raise ValueError(f'"{name}" must be above {least}, got {measured.value}')
    return measured


def _number(raw: dict[str, Any], name: str) -> float:
    value = raw[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f'"{name}" must be a finite number, got {value!r}')
    return float(value)


def _text(raw: dict[str, Any], name: str) -> str:
    if not isinstance(raw[name], str):
        raise ValueError(f'"{name}" must be a text, got {raw[name]!r}')
    return str(raw[name])
