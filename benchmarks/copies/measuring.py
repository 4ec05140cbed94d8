"""Predictions to the figures that are compared, all through asl_fast.reports."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from asl_fast import reports
from asl_fast.reports import Predictions, QueryKinds, Truth

Row = dict[str, Any]


def rows(name: str, predictions: Predictions, truth: Truth, kinds: QueryKinds) -> list[Row]:
    """One row of similarity alone and, where there are verdicts, one more with the filter.

    Each says as many pairs as there are copies, its best N: what it then calls a copy is counted for every
    kind of query. So nothing is gained by saying little.
    """
    alone = replace(predictions, ratio_P=None, is_copy_P=None)
    found = [_row(name, "similarity alone", alone, truth, kinds)]
    if predictions.is_copy_P is not None:
        found.append(_row(name, "with the ASL filter", predictions, truth, kinds))
    return found


def _row(name: str, how: str, predictions: Predictions, truth: Truth, kinds: QueryKinds) -> Row:
    report = reports.evaluate(
        predictions, truth, threshold=_score_of_best_n(predictions, len(truth.matched_queries)), kinds=kinds
    )
    measures = report.similarity if report.filtered is None else report.filtered
    groups = []
    for group in report.groups:
        shares = group.similarity if group.filtered is None else group.filtered
        groups.append(
            {
                "kind": group.kind,
                "family": group.family,
                "queries": group.num_queries,
                "recall_at_1": shares.recall_at_1,
                "recall": shares.recall,
                "called_copy": shares.called_copy,
            }
        )
    return {
        "engine": name,
        "how": how,
        "uap": measures.uap,
        "rp90": measures.rp90.recall if measures.rp90 else None,
        "precision_at_n_no_refill": measures.precision_at_n_no_refill,
        "precision_at_n_refill": measures.precision_at_n_refill,
        "recall_at_1": measures.recall_at_1,
        "threshold": report.threshold,
        "groups": groups,
    }


def _score_of_best_n(predictions: Predictions, n: int) -> float:
    """Of those that the filter keeps. Ties at the last place are all said."""
    score_P = predictions.score_P
    if predictions.is_copy_P is not None:
        score_P = score_P[predictions.is_copy_P]
    if not len(score_P):
        return 1.0
    return float(np.sort(score_P)[-min(n, len(score_P))])
