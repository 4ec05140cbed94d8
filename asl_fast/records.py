"""The records that pass between stages. Frozen, and checked when they are made.

Shape letters, here and everywhere: B views in a batch, N references (or plain rows), Q queries,
K kept per query, M matches, D dimensions, C classes; images are H, W, C or C, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asl_fast import _C

COPY, ORIGINAL = "copy", "original"
VIEW_MARK, WHOLE_VIEW = "#", "whole"  # a row of one view of a picture has the id `picture#view`
ROW_TYPES = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))


class Described(Protocol):
    """What is known of rows without the rows: Embeddings have it, and an index on disk."""

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def norms_fingerprint(self) -> str: ...
    @property
    def num_dims(self) -> int: ...
    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def norm_N(self) -> NDArray[np.float64]: ...
    @property
    def path_N(self) -> Sequence[str] | None: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """Raw descriptor rows with their ids. A row's direction says what a picture shows, its norm
    how much of the original content it still holds; both are read off the raw row.

    ids: N distinct strings.  row_ND: float16, float32 or float64, as they were stored; finite as float32, no
    all-zero row.
    norm_N: float64 Euclidean norms of the rows, or those of another network ("+ASL" of the paper).
    path_N: where each picture lies, or None if that is not known.
    fingerprint: of the model that made the rows, or "" if that is not known.
    norms_fingerprint: of the one whose norms these are; where it isn't given, that of the rows for their own
    norms, "" for others.
    """

    ids: Sequence[str]
    row_ND: NDArray[Any]
    norm_N: NDArray[np.float64] = None  # type: ignore[assignment]  # made from the rows below
    path_N: Sequence[str] | None = None
    fingerprint: str = ""
    norms_fingerprint: str = None  # type: ignore[assignment]  # as told above
    name: str = "embeddings"

    def __post_init__(self) -> None:
        if self.row_ND.ndim != 2 or self.row_ND.dtype not in ROW_TYPES:
            raise ValueError(
                f"{self.name}: rows must be float32 (or float16, float64) of shape (N, D), "
                f"got {self.row_ND.dtype} {self.row_ND.shape}"
            )
        num_rows = len(self.row_ND)
        if num_rows == 0 or self.row_ND.shape[1] == 0:
            raise ValueError(
                f"{self.name}: holds no rows (shape {self.row_ND.shape}); embed at least one image"
            )
        if len(self.ids) != num_rows:
            raise ValueError(
                f"{self.name}: has {len(self.ids)} ids but {num_rows} rows; there must be one id for each row"
            )
        if self.path_N is not None and len(self.path_N) != num_rows:
            raise ValueError(f"{self.name}: has {len(self.path_N)} paths but {num_rows} rows")
        check_distinct(self.ids, self.name)
        if self.norms_fingerprint is None:
            object.__setattr__(self, "norms_fingerprint", self.fingerprint if self.norm_N is None else "")
        if self.norm_N is None:
            object.__setattr__(self, "norm_N", checked_norms(self.row_ND, self.name, self.ids))
        else:
            checked_norms(self.row_ND, self.name, self.ids)
            _check_given_norms(self.norm_N, num_rows, self.name)

    def __len__(self) -> int:
        return len(self.row_ND)

    @property
    def num_dims(self) -> int:
        return int(self.row_ND.shape[1])


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a search found for each query, best score first (ties: smaller reference row first).

    ref_row_QK: int64 row of the reference, -1 where there is none.
    score_QK: float64 cosine, or what the search made of it (see Searchable); -inf where there is none.
    ratio_QK: float64 |query| / |reference|, nan where there is none.
    """

    ref_row_QK: NDArray[np.int64]
    score_QK: NDArray[np.float64]
    ratio_QK: NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (self.ref_row_QK.shape == self.score_QK.shape == self.ratio_QK.shape):
            raise ValueError(
                "candidates: ref_row, score and ratio must have one shape, got "
                f"{self.ref_row_QK.shape}, {self.score_QK.shape}, {self.ratio_QK.shape}"
            )

    def pairs(self) -> Pairs:
        """The same as one list: queries in order, best first within a query."""
        query_row_M, slot_M = np.nonzero(self.ref_row_QK >= 0)
        return Pairs(
            query_row_M=query_row_M,
            ref_row_M=self.ref_row_QK[query_row_M, slot_M],
            score_M=self.score_QK[query_row_M, slot_M],
            ratio_M=self.ratio_QK[query_row_M, slot_M],
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of many queries in one list; what made it says in which order.

    query_row_M, ref_row_M: int64.  score_M: float64 cosine, or what the search made of it.
    ratio_M: float64 |query| / |reference|.
    """

    query_row_M: NDArray[np.int64]
    ref_row_M: NDArray[np.int64]
    score_M: NDArray[np.float64]
    ratio_M: NDArray[np.float64]

    def __post_init__(self) -> None:
        shapes = {name: column.shape for name, column in vars(self).items()}
        if len(set(shapes.values())) != 1 or self.score_M.ndim != 1:
            raise ValueError(f"pairs: columns must have one length, got {shapes}")

    def __len__(self) -> int:
        return len(self.score_M)

    def __getitem__(self, which: slice | NDArray[np.intp] | NDArray[np.bool_]) -> Pairs:
        return Pairs(**{name: column[which] for name, column in vars(self).items()})

    @staticmethod
    def joined(parts: Sequence[Pairs]) -> Pairs:
        """One list after the other; at least one."""
        return Pairs(
            **{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])}
        )


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Judged pairs, best score first.

    verdict_M: "copy" where |query| / |reference| <= tau (the query may be an edited copy of the
    reference), "original" where the query holds more than the reference.
    query_view_M, reference_view_M: the views that matched, where views were folded; None elsewhere.
    """

    query_id_M: Sequence[str]
    reference_id_M: Sequence[str]
    score_M: NDArray[np.float64]
    query_norm_M: NDArray[np.float64]
    reference_norm_M: NDArray[np.float64]
    ratio_M: NDArray[np.float64]
    verdict_M: Sequence[str]
    query_view_M: Sequence[str] | None = None
    reference_view_M: Sequence[str] | None = None

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in vars(self).items() if column is not None}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"matches: columns must have one length, got {lengths}")

    def __len__(self) -> int:
        return len(self.query_id_M)


def norms(row_ND: NDArray[Any]) -> NDArray[np.float64]:
    """Euclidean norm of every row as float32, summed in float64 in the order that the search uses.

    The same bits on every path matter: a picture searched among itself has a ratio of exactly 1. Pages of a
    mapped file don't stay in memory.
    """
    return _C.row_norms(np.require(row_ND, requirements=["C", "A"]), 1)


def checked_norms(row_ND: NDArray[Any], name: str, ids: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Norms of rows that have a direction. ValueError names the first row that is not finite or all zero."""
    norm_N = norms(row_ND)
    if row_ND.dtype == np.float64 and np.isinf(norm_N).any():
        _check_fits_float32(row_ND[np.isinf(norm_N)], np.flatnonzero(np.isinf(norm_N)), name, ids)
    check_directions(norm_N, name, ids)
    return norm_N


def check_directions(norm_N: NDArray[np.float64], name: str, ids: Sequence[str] | None = None) -> None:
    """ValueError naming the first row whose own norm says that it has no direction."""
    bad_N = ~np.isfinite(norm_N) | (norm_N == 0)
    if bad_N.any():
        row = int(np.argmax(bad_N))
        who = f"row {row}" if ids is None else f"row {row} (id {ids[row]!r})"
        what = "is all zeros, so it has no direction" if norm_N[row] == 0 else "holds NaN or infinite values"
        raise ValueError(
            f"{name}: {who} {what} ({int(bad_N.sum())} such of {len(norm_N)} rows); "
            "embed these images again or drop the rows"
        )


def check_distinct(ids: Sequence[str], name: str) -> None:
    """ValueError naming the first id that stands twice."""
    if len(set(ids)) == len(ids):
        return
    first_row: dict[str, int] = {}
    for row, identity in enumerate(ids):
        if identity in first_row:
            raise ValueError(
                f"{name}: id {identity!r} stands twice (rows {first_row[identity]} and {row}); "
                "ids must be distinct, rename one or embed with --ids path"
            )
        first_row[identity] = row


def _check_given_norms(norm_N: NDArray[np.float64], num_rows: int, name: str) -> None:
    if norm_N.shape != (num_rows,):
        raise ValueError(f"{name}: norms must have shape ({num_rows},), one for each row, got {norm_N.shape}")
    bad_N = ~np.isfinite(norm_N) | (norm_N <= 0)
    if bad_N.any():
        row = int(np.argmax(bad_N))
        raise ValueError(f"{name}: norms must be finite and above 0, got {norm_N[row]} in row {row}")


def _check_fits_float32(
    row_MD: NDArray[np.float64], row_M: NDArray[np.intp], name: str, ids: Sequence[str] | None
) -> None:
    """ValueError naming the first finite value of these rows that float32 can't hold."""
    with np.errstate(over="ignore"):
        place = np.argwhere(np.isinf(row_MD.astype(np.float32)) & np.isfinite(row_MD))
    if len(place):
        value, row = row_MD[tuple(place[0])], int(row_M[place[0][0]])
        named = "" if ids is None else f" (id {ids[row]!r})"
        raise ValueError(
            f"{name}: value {value} in row {row}{named} does not fit float32; scale the rows down"
        )
