"""Which thresholds a command uses, and whose they are: what was given, else the model's, else the paper's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from asl_fast.errors import InputError
from asl_fast.model_folders import local_folder
from asl_fast.thresholds import (
    PAPERS_TAU,
    SoftRatio,
    Thresholds,
    folder_thresholds,
    is_shrunk,
    read_thresholds,
)

PERCENT = 100
MODELS, NONE = "model", "none"  # --soft-ratio: the model's own, or off
SOFT_RATIO_HELP = f"WEIGHT,TAU, `{NONE}` or `{MODELS}` (default: the model's, if it has one that fits)"


@dataclass(frozen=True, kw_only=True)
class Known:
    """Thresholds that were looked up. where: their file or model, to name in a line.

    are_given: named by the user for these rows, whatever made them.
    """

    thresholds: Thresholds | None
    where: str
    are_given: bool = False


class Normed(Protocol):
    """What has norms, and says whose."""

    @property
    def name(self) -> str: ...
    @property
    def norms_fingerprint(self) -> str: ...


class NormsOf(NamedTuple):
    """Norms that are known by where they come from."""

    name: str
    norms_fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """tau_from: in a few words, whose tau it is.  min_score: None where nothing asks for one."""

    tau: float
    tau_from: str
    min_score: float | None
    soft: SoftRatio | None


def look_up(model: str, file: str | os.PathLike[str] | None, loaded: Thresholds | None = None) -> Known:
    """Those of a file, of a model that is loaded already, or of a model's folder."""
    if file is not None:
        if not Path(file).is_file():
            raise InputError(f"--thresholds {file}: there is no such file; asl-fast calibrate writes one")
        return Known(thresholds=read_thresholds(file), where=os.fspath(file), are_given=True)
    if loaded is not None:
        return Known(thresholds=loaded, where=f"--model {model}")
    folder = local_folder(model)
    return Known(thresholds=None if folder is None else folder_thresholds(folder), where=f"--model {model}")


def choose(
    known: Known,
    queries: Normed,
    refs: Normed,
    *,
    scores: str,
    tau: float | None = None,
    min_score: float | None = None,
    precision: float | None = None,
    soft_ratio: str | None = None,
    device: str = "cpu",
) -> Chosen:
    """tau and min_score: as given.  precision: in percent, takes both from an operating point.

    scores: what kind of score these searches give, before anything is lost by the ratio; an operating point
    and a model's soft ratio are of one kind.  soft_ratio: as given, None where nothing was said: then the
    model's, unless a min_score or a precision was given, which are of scores that lose nothing, or the search
    runs on a GPU, which knows no soft ratio.
    InputError where something is asked of thresholds that aren't there, or of other norms or scores.
    """
    unfit = _why_unfit(known, queries, refs)
    if soft_ratio is None:
        is_free = min_score is None and precision is None and device == "cpu"
        soft = _default_soft(known, unfit, scores) if is_free else None
    else:
        soft = _soft(known, unfit, scores, soft_ratio, precision)
    if precision is not None:
        thresholds = _fitting(known, unfit, scores, "--precision")
        try:
            point = thresholds.point(precision / PERCENT)
        except ValueError as error:
            raise InputError(f"--precision {precision:g}: {error}") from None
        words = f"the {precision:g} % precision point of {known.where}"
        return Chosen(tau=point.tau.value, tau_from=words, min_score=point.min_score.value, soft=soft)
    if tau is not None:
        return Chosen(tau=tau, tau_from="as given", min_score=min_score, soft=soft)
    if known.thresholds is None or unfit:
        return Chosen(tau=PAPERS_TAU, tau_from=f"the paper's: {unfit}", min_score=min_score, soft=soft)
    words = f"of {known.where}" if known.are_given else f"the model's ({known.where})"
    return Chosen(tau=known.thresholds.tau.value, tau_from=words, min_score=min_score, soft=soft)


def given_soft(text: str | None) -> SoftRatio | None:
    """What --soft-ratio says in numbers; None where it says none. InputError if it says neither."""
    if text in (None, MODELS, NONE):
        return None
    try:
        return SoftRatio.parse(text)
    except ValueError as error:
        raise InputError(
            f"--soft-ratio must be `{MODELS}`, `{NONE}` or WEIGHT,TAU, such as 0.4,0.9, got {text!r} "
            f"({error})"
        ) from None


def _default_soft(known: Known, unfit: str, scores: str) -> SoftRatio | None:
    thresholds = known.thresholds
    if thresholds is None or unfit or is_shrunk(scores):
        return None
    return thresholds.soft if known.are_given or thresholds.scores == scores else None


def _soft(known: Known, unfit: str, scores: str, asked: str, precision: float | None) -> SoftRatio | None:
    if asked == NONE:
        return None
    if precision is not None:
        raise InputError(
            "--precision is of scores that lose nothing by the ratio; leave out --soft-ratio, or give "
            "--min-score"
        )
    if is_shrunk(scores):
        raise InputError(f"--soft-ratio: these scores ({scores}) have lost by the ratio already")
    if asked != MODELS:
        return given_soft(asked)
    soft = _fitting(known, unfit, scores, "--soft-ratio").soft
    if soft is None:
        raise InputError(f"--soft-ratio: {known.where} has none, shrinking scores brought it nothing")
    return soft


def _fitting(known: Known, unfit: str, scores: str, asked: str) -> Thresholds:
    """The thresholds, if they are of these norms and of scores of this kind."""
    if known.thresholds is None or unfit:
        raise InputError(f"{asked} needs calibrated thresholds: {unfit}")
    if not known.are_given and known.thresholds.scores != scores:
        raise InputError(
            f"{asked}: the thresholds of {known.where} are of scores of the kind "
            f"{known.thresholds.scores!r}, these are {scores!r}; calibrate on matches of this kind"
        )
    return known.thresholds


def _why_unfit(known: Known, queries: Normed, refs: Normed) -> str:
    """Why the thresholds can't be used for these norms, "" if they can."""
    if known.thresholds is None:
        return f"{known.where} has no thresholds; asl-fast calibrate fits them"
    for side in (refs, queries):
        whose = side.norms_fingerprint
        if not whose and not known.are_given:
            return f"whose norms {side.name} holds isn't known; --thresholds FILE says it"
        if whose and whose != known.thresholds.fingerprint:
            return (
                f"the norms of {side.name} are of model {whose[:12]}, the thresholds of {known.where} of "
                f"{known.thresholds.fingerprint[:12]}; name the model that made them with --model"
            )
    return ""
