"""The three ways to search, the same for rows in memory and for an index on disk."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypedDict

from numpy.typing import ArrayLike

from asl_fast.indexes.stream import BATCH_PAIRS
from asl_fast.kernels.ratio_search import Progress, Question, ask, check_count
from asl_fast.records import Candidates, Embeddings, Pairs
from asl_fast.thresholds import SoftRatio


class Scoring(TypedDict, total=False):
    """What makes a score of a cosine: Searchable's arguments of these names."""

    bias: ArrayLike
    scale: ArrayLike
    soft: SoftRatio | None


class Searchable(ABC):
    """The arguments that all three share:

    queries: (Q, D) raw rows, or Embeddings, whose norm_N then is the predicate's.
    tau, min_score: one number or one per query; min_score is inclusive.
    direction: "copy" keeps |query| / |reference| <= tau (the query may be an edited copy), "original" keeps
    the others, "both" keeps all: the filter is off, and k, the number of pairs and min_score count pairs of
    either kind. The ratio tells them apart (`matching.judge`). For k of each kind search twice: the two
    directions share no pair, so together they cost what "both" does.
    bias, scale: score = (cosine - bias) * scale, one number each or one per query (see ScoreNorm).
    soft: and less by the soft ratio, weight * max(0, log(ratio / tau)); its tau is its own. On CPUs.
    Scores, min_score and the order of pairs are those of what comes out.
    query_norms: (Q,) predicate norms in place of the rows' own, or of the Embeddings'.
    progress(pairs_done, pairs_in_all): called about ten times a second; an exception in it, or Ctrl-C, ends
    the search.
    Answers are the float64 brute force's, bit for bit; ties go by query row, then reference row. ValueError
    names the argument that breaks a rule.
    """

    _num_threads: int | None
    _device: str = "cpu"  # where queries may stay, if they lie there

    @abstractmethod
    def __len__(self) -> int: ...
    @property
    @abstractmethod
    def num_dims(self) -> int: ...
    @abstractmethod
    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates: ...
    @abstractmethod
    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs: ...
    @abstractmethod
    def _pairs_above(
        self,
        question: Question,
        batch_pairs: int,
        progress: Progress | None,
        folder: str | os.PathLike[str] | None,
    ) -> Iterator[Pairs]: ...

    def search(
        self,
        queries: ArrayLike | Embeddings,
        k: int = 10,
        tau: ArrayLike = 1.0,
        min_score: ArrayLike | None = None,
        *,
        direction: str = "copy",
        query_norms: ArrayLike | None = None,
        bias: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        soft: SoftRatio | None = None,
        progress: Progress | None = None,
    ) -> Candidates:
        """The best k references of each query. Where there are fewer stand -1, score -inf, ratio nan."""
        return self._nearest(
            self._question(queries, tau, min_score, direction, query_norms, bias, scale, soft), k, progress
        )

    def best_pairs(
        self,
        queries: ArrayLike | Embeddings,
        num_pairs: int,
        tau: ArrayLike = 1.0,
        min_score: ArrayLike | None = None,
        *,
        k: int | None = None,
        direction: str = "copy",
        query_norms: ArrayLike | None = None,
        bias: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        soft: SoftRatio | None = None,
        progress: Progress | None = None,
    ) -> Pairs:
        """The best num_pairs of all queries together, best first (the protocol of DISC21: 500,000).

        k: of each query only the best k compete. Takes memory for num_pairs, whatever the number of queries
        and references.
        """
        question = self._question(queries, tau, min_score, direction, query_norms, bias, scale, soft)
        return self._best_pairs(question, num_pairs, k, progress)

    def pairs_above(
        self,
        queries: ArrayLike | Embeddings,
        min_score: ArrayLike,
        tau: ArrayLike = 1.0,
        *,
        direction: str = "copy",
        query_norms: ArrayLike | None = None,
        bias: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        soft: SoftRatio | None = None,
        progress: Progress | None = None,
        batch_pairs: int = BATCH_PAIRS,
        folder: str | os.PathLike[str] | None = None,
    ) -> Iterator[Pairs]:
        """Every pair with score >= min_score, in batches: queries in order, best first within a query.

        A batch holds all pairs of its queries, and at most batch_pairs unless one query alone has more. Work
        is done as batches are taken; leave the iterator and it ends. Takes about 160 bytes for each of
        batch_pairs, or of the hits of the query that has the most, whichever is more. Where references are
        searched part by part (a memory budget, shards), all parts are searched before the first batch, and
        pairs wait in a temporary file in `folder` (None: the system's), 32 bytes each.
        """
        if min_score is None:
            raise ValueError("pairs_above: min_score must be a number, got None; -inf is every pair")
        check_count(batch_pairs, "batch_pairs", 2**40)
        question = self._question(queries, tau, min_score, direction, query_norms, bias, scale, soft)
        return self._pairs_above(question, batch_pairs, progress, folder)

    def _question(
        self,
        queries: ArrayLike | Embeddings,
        tau: ArrayLike,
        min_score: ArrayLike | None,
        direction: str,
        query_norms: ArrayLike | None,
        bias: ArrayLike,
        scale: ArrayLike,
        soft: SoftRatio | None,
    ) -> Question:
        rows: ArrayLike = queries.row_ND if isinstance(queries, Embeddings) else queries
        name, ids = "queries", None
        if isinstance(queries, Embeddings):
            name, ids = queries.name, queries.ids
            query_norms = queries.norm_N if query_norms is None else query_norms
        return ask(
            rows,
            tau=tau,
            min_score=min_score,
            bias=bias,
            scale=scale,
            soft=soft,
            direction=direction,
            norm_Q=query_norms,
            num_threads=self._num_threads,
            name=name,
            ids=ids,
            device=self._device,
        )
