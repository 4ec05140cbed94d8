"""What every tau of the hard filter would do: uAP, precision at N, and which pairs it lets through."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import replacing
from asl_fast.reports import metrics
from asl_fast.reports.predictions import Predictions
from asl_fast.reports.style import BLUE, DOTTED, GREY, INK, ORANGE, dress, new_figure, write_png
from asl_fast.reports.truth import Truth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NUM_TAUS = 101


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """true_positives, false_positives: pairs with a ratio of at most tau. None: 0 / 0."""

    tau: float
    uap: float
    precision_at_n_no_refill: float | None
    precision_at_n_refill: float | None
    true_positives: int
    false_positives: int


def tau_sweep(
    predictions: Predictions, truth: Truth, *, taus: NDArray[np.float64] | None = None
) -> list[SweepPoint]:
    """One point for each tau, rising. taus: of themselves, 101 between the least and the largest ratio, with
    as many pairs between any two of them, and 1. uAP as of the pairs that are let through alone.
    """
    if predictions.ratio_P is None:
        raise ValueError(f"{predictions.name}: has no ratios, so tau can't judge it")
    is_right_P = predictions.are_right(truth)
    order_P = metrics.worst_case_order(predictions.score_P, is_right_P)
    score_P, ratio_P = predictions.score_P[order_P], predictions.ratio_P[order_P]
    right_P = is_right_P[order_P]
    if taus is None:
        taus = np.unique(np.append(np.quantile(ratio_P, np.linspace(0, 1, NUM_TAUS), method="higher"), 1.0))
    return [_point(float(tau), score_P, ratio_P, right_P, truth) for tau in taus] if len(score_P) else []


def _point(
    tau: float,
    score_P: NDArray[np.float64],
    ratio_P: NDArray[np.float64],
    right_P: NDArray[np.bool_],
    truth: Truth,
) -> SweepPoint:
    n, num_truth = len(truth.matched_queries), len(truth.pairs)
    kept_P = ratio_P <= tau
    place_R = np.cumsum(kept_P)[kept_P & right_P]  # of right pairs among those let through, from 1
    num_kept = int(kept_P.sum())
    no_refill = _precision_at_n(score_P, right_P, kept_P, n)
    kept_K = np.flatnonzero(kept_P)
    # a tie at the cut goes on to its end; in this order wrong pairs of a tie come first already
    refill = int(right_P[kept_K[:n]].sum()) / min(n, num_kept) if num_kept else None
    return SweepPoint(
        tau=tau,
        uap=float(np.sum(np.arange(1, len(place_R) + 1) / place_R) / num_truth),
        precision_at_n_no_refill=no_refill,
        precision_at_n_refill=refill,
        true_positives=len(place_R),
        false_positives=num_kept - len(place_R),
    )


def _precision_at_n(
    score_P: NDArray[np.float64], right_P: NDArray[np.bool_], kept_P: NDArray[np.bool_], n: int
) -> float | None:
    """Of the top n before the filter; only they and their ties are looked at."""
    end = len(score_P) if n >= len(score_P) else int(np.searchsorted(-score_P, -score_P[n - 1], "right"))
    top = slice(0, end)
    return metrics.precision_at_n(score_P[top], right_P[top], n, is_kept_P=kept_P[top])


def write_sweep_csv(path: str | os.PathLike[str], points: list[SweepPoint]) -> None:
    """One row a tau; an empty cell where an answer does not exist."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(list(SweepPoint.__dataclass_fields__))
        writer.writerows([list(vars(point).values()) for point in points])


def draw_sweep(points: list[SweepPoint], *, tau: float, n: int) -> Figure:
    """uAP and both precisions against tau, with the tau that is used."""
    figure = new_figure(height=4.6)
    axes = figure.add_subplot()
    lines: dict[str, tuple[list[Any], str]] = {
        "uAP": ([point.uap for point in points], BLUE),
        f"precision at {n:,} (no refill)": ([point.precision_at_n_no_refill for point in points], ORANGE),
        f"precision at {n:,} (refill)": ([point.precision_at_n_refill for point in points], GREY),
    }
    at = [point.tau for point in points]
    for name, (values, colour) in lines.items():
        axes.plot(at, np.array(values, dtype=float), color=colour, linewidth=1.8, label=name)
    axes.axvline(tau, color=INK, linewidth=0.8, linestyle=DOTTED, label=f"tau {tau:.4g}, used")
    axes.set(ylim=(0, 1.02), xlabel="tau, largest |query| / |reference| of a copy")
    dress(axes, "what each tau lets through")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def write_sweep(path: str | os.PathLike[str], points: list[SweepPoint], *, tau: float, n: int) -> None:
    """NAME.png, and the numbers as NAME.csv beside it."""
    write_png(path, draw_sweep(points, tau=tau, n=n))
    write_sweep_csv(Path(path).with_suffix(".csv"), points)
