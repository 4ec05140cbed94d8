"""Score normalisation: a query that is near to many pictures must be nearer to a reference to count.

    score(q, r) = cos(q, r) - bias(q)
    bias(q)     = beta * mean of cos(q, b) over q's neighbours first ... last (from 0) in a background set

Descriptor stretching (BoT, arXiv 2111.08004) makes the query longer instead, by that mean:

    score(q, r) = s(q) (cos(q, r) - s(q) / 2) = (1 - |s(q) q - r|^2) / 2   with |q| = |r| = 1
    s(q)        = beta * mean, as above

The background set holds pictures of which nothing is a copy. Nothing changes within a query; what changes is
the order of pairs of different queries, and what a lowest score lets through. So the search is told.

    norm = ScoreNorm.parse("1.0[0,2]")
    best = index.best_pairs(queries, 500_000, **norm.scoring(queries, Index(background)))

Written as SSCD does, WEIGHT[FIRST,LAST]; or, as in isc2021, WEIGHT and what N neighbours are reduced by:
2.0mean[10] (or avg) is 2.0[0,9], 2.0min[10] is 2.0[9,9]. CopyNCE's is 1.0[1,4], D2LV's 2.0mean[10]. BoT's
stretching is stretch:2.5avg[5]; any of these may stand after stretch:.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes.searchable import Scoring, Searchable
from asl_fast.kernels.ratio_search import MAX_SCALE, Progress
from asl_fast.records import Embeddings

_NUMBER = r"(\d+\.?\d*|\.\d+)"
_RANKS = re.compile(_NUMBER + r"\[(\d{1,9}),(\d{1,9})\]")
_REDUCED = re.compile(_NUMBER + r"(mean|avg|min)\[(\d{1,9})\]")
_STRETCH = "stretch:"
_WAYS = (
    "write WEIGHT[FIRST,LAST], such as 1.0[0,2], or WEIGHTmean[N] or WEIGHTmin[N], such as 2.0mean[10]; the "
    "weight is above 0, ranks count from 0; stretch: before it stretches descriptors"
)


@dataclass(frozen=True)
class ScoreNorm:
    """beta: above 0.  first, last: ranks of neighbours, from 0, both included.  stretches: descriptors."""

    beta: float
    first: int
    last: int
    stretches: bool = False

    def __post_init__(self) -> None:
        if not (0 < self.beta < math.inf and 0 <= self.first <= self.last):
            raise ValueError(f"score normalisation: got {self}; {_WAYS}")

    def __str__(self) -> str:
        return f"{_STRETCH * self.stretches}{self.beta}[{self.first},{self.last}]"

    @classmethod
    def parse(cls, text: str) -> ScoreNorm:
        """ValueError if it is written in neither way."""
        plain = "".join(text.split())
        if plain.startswith(_STRETCH):
            return replace(cls.parse(plain.removeprefix(_STRETCH)), stretches=True)
        if match := _RANKS.fullmatch(plain):
            return cls(float(match[1]), int(match[2]), int(match[3]))
        if (match := _REDUCED.fullmatch(plain)) and int(match[3]) > 0:
            last = int(match[3]) - 1
            return cls(float(match[1]), last if match[2] == "min" else 0, last)
        raise ValueError(f"score normalisation: got {text!r}; {_WAYS}")

    def scoring(
        self, queries: ArrayLike | Embeddings, background: Searchable, progress: Progress | None = None
    ) -> Scoring:
        """What a search is told: a bias for each query, and a scale where descriptors are stretched.

        ValueError if the background has no `last` neighbours, or a query can't be stretched.
        """
        mean_Q = self.bias(queries, background, progress)
        if not self.stretches:
            return {"bias": mean_Q}
        if (bad_Q := mean_Q < 1 / MAX_SCALE).any():
            row = int(np.argmax(bad_Q))
            who = f"row {row}" if not isinstance(queries, Embeddings) else repr(queries.ids[row])
            raise ValueError(
                f"score normalisation: {self} stretches query {who} by {mean_Q[row]:.3g}, which must be "
                f"above 0 ({int(bad_Q.sum())} such); take a larger background, or normalise without stretch:"
            )
        return {"bias": mean_Q / 2, "scale": mean_Q}

    def bias(
        self, queries: ArrayLike | Embeddings, background: Searchable, progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(Q,) beta times the mean: what scores are less by, or descriptors stretched by. The same bits
        on any machine.

        ValueError if the background has no `last` neighbours.
        """
        if self.last >= len(background):
            raise ValueError(
                f"score normalisation: {self} needs {self.last + 1} background rows or more, but there are "
                f"{len(background)}"
            )
        found = background.search(queries, self.last + 1, direction="both", progress=progress)
        total_Q = np.zeros(len(found.score_QK))
        for rank in range(self.first, self.last + 1):  # in this order, whatever NumPy does with an axis
            total_Q += found.score_QK[:, rank]
        return self.beta * (total_Q / (self.last - self.first + 1))
