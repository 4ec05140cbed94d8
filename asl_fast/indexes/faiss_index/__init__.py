"""Approximate search: FAISS finds candidates, the norm-ratio predicate joins them.

    index = FaissIndex(refs, "IVF1024,Flat", params={"nprobe": 32})
    found = index.search(queries, k=10, tau=1.0)
    index.write("refs.faiss")
    index = FaissIndex(refs, path="refs.faiss")

library.py   the library, imported when first used
kinds.py     what must be known of kinds of FAISS indexes
order.py     norm order, buckets of queries, selectors
lists.py     FAISS's lists of candidates, on the CPU or on a GPU
join.py      over-fetch, filter and re-score, double
files.py     .faiss files and what stands beside them
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.errors import InputError
from asl_fast.indexes.faiss_index import files
from asl_fast.indexes.faiss_index.join import Answer, Join, unit
from asl_fast.indexes.faiss_index.kinds import holds_floats, most_training_rows, rows_of
from asl_fast.indexes.faiss_index.library import library, threads, words
from asl_fast.indexes.faiss_index.lists import CpuLists, GpuLists, Lists
from asl_fast.indexes.faiss_index.order import NormOrder
from asl_fast.indexes.searchable import Searchable
from asl_fast.indexes.stream import streamed
from asl_fast.kernels.ratio_search import MAX_PAIRS, MAX_REFS, Progress, Question, check_count, gpus_of
from asl_fast.kernels.rescore import Rescorer
from asl_fast.records import Candidates, Embeddings, Pairs

__all__ = ["FaissIndex", "ShortAnswer", "files", "library", "short_words"]

_BLOCK_ROWS = 1 << 16
_SAMPLED_ROWS = 64
FETCH = "fetch"


class ShortAnswer(UserWarning):
    """Queries found fewer than asked because FAISS's lists ended."""


class FaissIndex(Searchable):
    """Search through FAISS with Index's arguments and results; what is found is scored exactly.

    refs: (N, D) raw rows, or Embeddings. norms: (N,) predicate norms of another network.
    factory: FAISS's index_factory string, such as "Flat", "IVF4096,Flat", "HNSW32", "IVF1024,PQ32x8"; the
    unit rows are added in norm order. path: a .faiss file in place of it, that `write` made (its rows are
    found by id), or a foreign one of the references' unit rows in their order.
    device: "cpu", or one GPU ("cuda", "cuda:1") that a copy of the index is put on; candidates stay there to
    be filtered and scored, and lists end after 2048 of them.
    params: FAISS's search parameters by name (nprobe, efSearch, ...), and "fetch": the length of the first
    list over k (2 where FAISS keeps floats, 10 where it keeps codes).
    tell_short(number of queries): called when FAISS's lists ended before queries had what was asked for;
    without it a ShortAnswer is warned of.
    The references' rows are kept as they are, not copied: don't write to them afterwards.
    ValueError or InputError in one line.
    """

    def __init__(
        self,
        refs: ArrayLike | Embeddings,
        factory: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        norms: ArrayLike | None = None,
        params: Mapping[str, float] | None = None,
        device: str = "cpu",
        num_threads: int | None = None,
        tell_short: Callable[[int], object] | None = None,
    ) -> None:
        if (factory is None) == (path is None):
            raise ValueError("faiss: give a factory string or the path of a .faiss file, one of the two")
        rows: Any = refs
        self._ids, self._fingerprint, name = None, "", "references"
        if isinstance(refs, Embeddings):
            rows, norms = refs.row_ND, refs.norm_N if norms is None else norms
            self._ids, self._fingerprint, name = refs.ids, refs.fingerprint, refs.name
        self._rescorer = Rescorer(
            rows, norm_N=norms, device=device, num_threads=num_threads, name=name, ids=self._ids
        )
        self._name, self._num_threads = name, num_threads
        self._tell_short = tell_short or _warn_of_short
        if path is None:
            self._factory, self._file = str(factory), f"faiss:{factory}"
            row_P = np.argsort(-self._rescorer.norm_N, kind="stable")
            self._index = self._built(row_P)
        else:
            self._file = os.fspath(path)
            self._index, beside = files.read(Path(path))
            self._factory = type(self._index).__name__
            self._check_shape()
            row_P = np.arange(len(self)) if beside is None else self._rows_of(beside.ids)
            self._check_rows(row_P)
        self._order = NormOrder(row_P, self._rescorer.norm_N)
        self._fetch_factor = self._set(dict(params or {}))
        gpus = gpus_of(device)
        self._lists: Lists = (
            GpuLists(self._index, self._order, gpus[0]) if gpus else CpuLists(self._index, self._order)
        )

    def __len__(self) -> int:
        return len(self._rescorer)

    @property
    def num_dims(self) -> int:
        return self._rescorer.num_dims

    @property
    def path(self) -> str:
        """What runs, such as "faiss IndexIVFFlat"."""
        return f"faiss {type(self._index).__name__}"

    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates:
        check_count(k, "k", MAX_REFS)
        return self._answer(question, k, progress).candidates(len(question), k)

    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        check_count(num_pairs, "num_pairs", MAX_PAIRS)
        if k is not None:
            check_count(k, "k", MAX_REFS)
            return self._answer(question, k, progress).pairs()[:num_pairs]
        each = 2 * -(-num_pairs // max(1, len(question)))
        while not np.isfinite(question.min_score_Q).all():  # until there is a score that enough pairs reach
            each = min(each, len(self))
            some = self._join(question, each, None).pairs()[:num_pairs]
            if each == len(self) or len(question) == 0:
                return some
            if len(some) == num_pairs:
                question = question.above(some.score_M[-1])
            each *= 4
        return self._answer(question, None, progress).pairs()[:num_pairs]

    def _pairs_above(
        self,
        question: Question,
        batch_pairs: int,
        progress: Progress | None,
        folder: str | os.PathLike[str] | None,  # noqa: ARG002 - no part by part here
    ) -> Iterator[Pairs]:
        return streamed(
            question,
            lambda some, num_pairs, shown: self._best_pairs(some, num_pairs, None, shown),
            num_refs=len(self),
            batch_pairs=batch_pairs,
            progress=progress,
        )

    def _answer(self, question: Question, k: int | None, progress: Progress | None) -> Answer:
        answer = self._join(question, k, progress)
        if answer.num_short:
            self._tell_short(answer.num_short)
        return answer

    def _join(self, question: Question, k: int | None, progress: Progress | None) -> Answer:
        if question.num_dims != self.num_dims:
            raise ValueError(
                f"faiss: {question.name} have {question.num_dims} columns but the references have "
                f"{self.num_dims}; embed both with the same model"
            )
        join = Join(
            self._lists, self._order, self._rescorer, question, k,
            floats=holds_floats(self._index), fetch_factor=self._fetch_factor,
        )  # fmt: skip
        return join.run(progress)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the index to a .faiss file, with the ids and norms of its rows beside it."""
        row_P = self._order.row_P
        ids = [str(row) for row in row_P] if self._ids is None else [self._ids[row] for row in row_P]
        norm_P = self._rescorer.norm_N[row_P]
        files.write(Path(path), self._index, self._factory, ids, norm_P, self._fingerprint)

    def _built(self, row_P: NDArray[np.int64]) -> Any:
        """A new index, trained where its kind needs it, with unit rows in this order."""
        faiss = library()
        rescorer = self._rescorer

        def unit_rows(row_B: NDArray[np.int64]) -> NDArray[np.float32]:
            return unit(rescorer.row_ND[row_B], rescorer.own_norm_N[row_B])

        with threads(rescorer.num_threads):
            try:
                index = faiss.index_factory(self.num_dims, self._factory, faiss.METRIC_INNER_PRODUCT)
                if not index.is_trained:
                    index.train(unit_rows(row_P[:: -(-len(row_P) // most_training_rows(index))]))
                for first in range(0, len(row_P), _BLOCK_ROWS):
                    index.add(unit_rows(row_P[first : first + _BLOCK_ROWS]))
            except (RuntimeError, MemoryError) as error:
                raise InputError(
                    f"{self._file}: FAISS can't be built of {len(row_P)} x {self.num_dims} rows "
                    f"({words(error)})"
                ) from None
        return index

    def _set(self, params: dict[str, float]) -> float | None:
        """Set FAISS's parameters; return the first list's length over k, None for the usual one."""
        fetch_factor = params.pop(FETCH, None)
        if fetch_factor is not None and not fetch_factor >= 1:
            raise InputError(f"{self._file}: parameter {FETCH} must be at least 1, got {fetch_factor}")
        for name, value in params.items():
            try:
                library().ParameterSpace().set_index_parameter(self._index, name, value)
            except RuntimeError:
                raise InputError(
                    f"{self._file}: {type(self._index).__name__} has no parameter {name}; IVF kinds have "
                    f"nprobe, HNSW kinds efSearch, and all have {FETCH}"
                ) from None
        return fetch_factor

    def _check_shape(self) -> None:
        for what, mine, theirs in (
            ("columns", self._index.d, self.num_dims), ("rows", self._index.ntotal, len(self)),
        ):  # fmt: skip
            if mine != theirs:
                raise InputError(
                    f"{self._file} has {mine} {what} but {self._name} has {theirs}; the index must be made "
                    "of these references"
                )
        faiss = library()
        if self._index.metric_type not in (faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2):
            raise InputError(
                f"{self._file} is of another metric than inner product or L2, which give no cosine"
            )

    def _rows_of(self, ids: Any) -> NDArray[np.int64]:
        """The reference row at each place, by id."""
        mine = [str(row) for row in range(len(self))] if self._ids is None else self._ids
        row_of = {identity: row for row, identity in enumerate(mine)}
        missing = [identity for identity in ids if identity not in row_of]
        if missing:
            raise InputError(
                f"{self._file} holds id {missing[0]!r}, which {self._name} lacks ({len(missing)} of "
                f"{len(ids)} ids); export it again from these references"
            )
        return np.array([row_of[identity] for identity in ids], np.int64)

    def _check_rows(self, row_P: NDArray[np.int64]) -> None:
        """InputError where a sample of the file's rows is not that of the references, as far as FAISS gives
        rows back."""
        place_S = np.unique(np.linspace(0, len(self) - 1, _SAMPLED_ROWS).astype(np.int64))
        try:
            held_SD = np.concatenate([rows_of(self._index, int(place), 1) for place in place_S])
        except RuntimeError:
            return
        row_S = row_P[place_S]
        unit_SD = unit(self._rescorer.row_ND[row_S], self._rescorer.own_norm_N[row_S])
        with np.errstate(all="ignore"):  # a place that isn't in the index holds anything
            held_SD = held_SD.astype(np.float64)
            length_S = np.linalg.norm(held_SD, axis=1)
            cosine_S = (held_SD * unit_SD).sum(axis=1) / length_S
        if not np.median(cosine_S) >= (0.999 if holds_floats(self._index) else 0.2):
            raise InputError(
                f"{self._file}: its rows are not those of {self._name} (row {row_S[0]}: cosine "
                f"{cosine_S[0]:.2f}); they must be the same, in the same order"
            )
        if holds_floats(self._index) and np.abs(length_S - 1).max() > 1e-3:
            longest = length_S[np.abs(length_S - 1).argmax()]
            raise InputError(
                f"{self._file}: its rows aren't of length 1 (one is {longest:.3g}), "
                "so its order isn't that of the cosine; normalise them before adding"
            )


def _warn_of_short(num_short: int) -> None:
    warnings.warn(short_words(num_short), ShortAnswer, stacklevel=6)


def short_words(num_short: int) -> str:
    """What a user must know of queries that came up short."""
    return (
        f"FAISS's lists ended for {num_short} queries before they had what was asked for; raise nprobe or "
        "efSearch, or search exactly"
    )
