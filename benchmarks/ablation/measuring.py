"""One trained variant on a benchmark: the paper's figures, and how well norms tell directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from asl_fast import reports
from asl_fast.reports import Predictions, QueryKinds, Truth
from asl_fast.reports.kinds import COPY_KIND

TAUS = (0.85, 0.9, 0.94, 0.96, 0.98, 1.0, 1.02, 1.05, 1.1, 1.2)
_FOLDS = 2


def measure(matches: Path, truth: Truth, kinds: QueryKinds) -> dict[str, Any]:
    """Figures of a matches.csv with verdicts at tau = 1, the paper's; `taus` holds the sweep.

    best_tau: chosen on one half of the queries by precision at N + uAP, measured on the other, both ways.
    """
    predictions = reports.read_predictions(matches)
    told = reports.evaluate(predictions, truth, tau=1.0, kinds=kinds)
    assert told.filtered is not None
    sweep = [{"tau": tau} | _filtered(predictions, truth, tau) for tau in TAUS]
    return {
        "uap": told.similarity.uap,
        "rp90": told.similarity.rp90.recall if told.similarity.rp90 else None,
        "recall_at_1": told.similarity.recall_at_1,
        "precision_at_n": told.similarity.precision_at_n_no_refill,
        "at_1": _filtered(predictions, truth, 1.0),
        "best_tau": _chosen(predictions, truth),
        "taus": sweep,
        "right_direction": _right_directions(predictions, truth, kinds),
        "rejected": _rejected(told),
    }


def _filtered(predictions: Predictions, truth: Truth, tau: float) -> dict[str, float | None]:
    """true_positives, false_positives: what the filter keeps of the top N by cosine, as in table 2."""
    measures = reports.evaluate(predictions, truth, tau=tau).filtered
    assert measures is not None
    top = predictions.best(len(truth.matched_queries), truth)
    assert top.ratio_P is not None
    right_P = top.are_right(truth)[top.ratio_P <= tau]
    return {
        "uap": measures.uap,
        "rp90": measures.rp90.recall if measures.rp90 else None,
        "true_positives": int(right_P.sum()),
        "false_positives": int((~right_P).sum()),
        "no_refill": measures.precision_at_n_no_refill,
        "refill": measures.precision_at_n_refill,
    }


def _chosen(predictions: Predictions, truth: Truth) -> dict[str, float]:
    """Mean over the halves of what each gives at the tau that the other one chose."""
    halves = [_half(predictions, truth, number) for number in range(_FOLDS)]
    sweeps = [[_filtered(*half, tau) for tau in TAUS] for half in halves]
    figures = []
    for fold, sweep in enumerate(sweeps):
        other = sweeps[1 - fold]
        place = int(np.argmax([(row["refill"] or 0) + (row["uap"] or 0) for row in other]))
        figures.append((TAUS[place], sweep[place]["uap"] or 0, sweep[place]["refill"] or 0))
    tau, uap, refill = np.mean(figures, axis=0).tolist()
    return {"tau": tau, "uap": uap, "refill": refill}


def _half(predictions: Predictions, truth: Truth, number: int) -> tuple[Predictions, Truth]:
    kept = set(sorted(truth.matched_queries | truth.distractors)[number::_FOLDS])
    pairs = tuple(pair for pair in truth.pairs if pair[0] in kept)
    return predictions.of_queries(kept.__contains__), Truth(pairs=pairs, distractors=truth.distractors & kept)


def _right_directions(predictions: Predictions, truth: Truth, kinds: QueryKinds) -> dict[str, float | None]:
    """Of true pairs that were found: the share with |copy| < |original|, of all copies and of plain crops."""
    assert predictions.ratio_P is not None
    right_P = predictions.are_right(truth)
    families = [kinds.group_of.get(query, ("", ""))[1] for query in predictions.query_ids]
    crop_Q = np.array([family == "crop" for family in families], bool)
    crop_P = right_P & crop_Q[predictions.query_P]
    return {
        name: float((predictions.ratio_P[some_P] < 1).mean()) if some_P.any() else None
        for name, some_P in (("copies", right_P), ("crops", crop_P))
    }


def _rejected(report: reports.Report) -> dict[str, float]:
    """Of each kind of query without a match: the share whose best prediction has no copy verdict."""
    return {
        group.kind: 1 - group.filtered.called_copy_at_1
        for group in report.groups
        if group.family is None and group.kind != COPY_KIND and group.filtered is not None
    }
