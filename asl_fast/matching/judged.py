"""Candidates of another method with their verdicts, in the order in which they came."""

from __future__ import annotations

import csv
import os

import numpy as np
from numpy.typing import NDArray

from asl_fast.files import replacing
from asl_fast.matching.judge import checked_tau
from asl_fast.records import COPY, ORIGINAL

_ROWS_AT_ONCE = 2**16
Column = tuple[list[str], NDArray[np.int64]]  # distinct ids, place of each pair's


def write_judged(
    path: str | os.PathLike[str],
    query: Column,
    reference: Column,
    score_P: NDArray[np.float64],
    ratio_P: NDArray[np.float64],
    tau: float,
    *,
    norms: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    soft_score_P: NDArray[np.float64] | None = None,
    found_by_P: NDArray[np.int64] | None = None,
    only: str | None = None,
) -> int:
    """Write query_id,reference_id,score,[query_norm,reference_norm,]ratio,verdict[,soft_score][,found_by], or
    leave `path` as it was; return how many of all pairs are copies.

    norms: of the distinct queries and references.  only: write pairs of this verdict.
    """
    checked_tau(tau, 1)
    is_copy_P = ratio_P <= tau
    kept_K = np.arange(len(score_P)) if only is None else np.flatnonzero(is_copy_P == (only == COPY))
    names = ["query_id", "reference_id", "score"]
    names += ["query_norm", "reference_norm"] if norms is not None else []
    names += ["ratio", "verdict"]
    names += ["soft_score"] if soft_score_P is not None else []
    names += ["found_by"] if found_by_P is not None else []
    with (
        replacing(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        # a lone CR would end a row, and Python before 3.13 leaves it unquoted
        has_cr = any("\r" in identity for ids, _ in (query, reference) for identity in ids)
        plain = csv.writer(file, lineterminator="\n")
        plain.writerow(names)
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC) if has_cr else plain
        for first in range(0, len(kept_K), _ROWS_AT_ONCE):
            row_B = kept_K[first : first + _ROWS_AT_ONCE]
            query_B, reference_B = query[1][row_B], reference[1][row_B]
            columns: list[list[object]] = [
                [query[0][place] for place in query_B.tolist()],
                [reference[0][place] for place in reference_B.tolist()],
                score_P[row_B].tolist(),
            ]
            if norms is not None:
                columns += [norms[0][query_B].tolist(), norms[1][reference_B].tolist()]
            columns += [ratio_P[row_B].tolist(), np.where(is_copy_P[row_B], COPY, ORIGINAL).tolist()]
            columns += [column[row_B].tolist() for column in (soft_score_P, found_by_P) if column is not None]
            writer.writerows(zip(*columns, strict=True))
    return int(is_copy_P.sum())
