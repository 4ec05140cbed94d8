"""Score normalisation: a query that is near to many pictures must be nearer to a reference to count.

    score(q, r) = cos(q, r) - bias(q)
    bias(q)     = beta * mean of cos(q, b) over q's neighbours first ... last (from 0) in a background set

The background set holds pictures of which nothing is a copy. Little changes within a query; what changes is
the order of pairs of different queries, and what a lowest score lets through. So the search is told the bias.

    norm = ScoreNorm.parse("1.0[0,2]")
    bias_Q = norm.bias(queries, Index(background))
    best = index.best_pairs(queries, 500_000, bias=bias_Q)

Written as SSCD does, WEIGHT[FIRST,LAST]; or, as in isc2021, WEIGHT and what N neighbours are reduced by:
2.0mean[10] (or avg) is 2.0[0,9], 2.0min[10] is 2.0[9,9]. CopyNCE's is 1.0[1,4], D2LV's 2.0mean[10].
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes.searchable import Searchable
from asl_fast.kernels.ratio_search import Progress
from asl_fast.records import Embeddings

_NUMBER = r"(\d+\.?\d*|\.\d+)"
_RANKS = re.compile(_NUMBER + r"\[(\d{1,9}),(\d{1,9})\]")
_REDUCED = re.compile(_NUMBER + r"(mean|avg|min)\[(\d{1,9})\]")
_WAYS = (
    "write WEIGHT[FIRST,LAST], such as 1.0[0,2], or WEIGHTmean[N] or WEIGHTmin[N], such as 2.0mean[10]; the "
    "weight is above 0, ranks count from 0"
)


@dataclass(frozen=True)
class ScoreNorm:
    """beta: above 0.  first, last: ranks of neighbours, from 0, both included."""

    beta: float
    first: int
    last: int

    def __post_init__(self) -> None:
        if not (0 < self.beta < math.inf and 0 <= self.first <= self.last):
            raise ValueError(f"score normalisation: got {self}; {_WAYS}")

    def __str__(self) -> str:
        return f"{self.beta}[{self.first},{self.last}]"

    @classmethod
    def parse(cls, text: str) -> ScoreNorm:
        """ValueError if it is written in neither way."""
        plain = "".join(text.split())
        if match := _RANKS.fullmatch(plain):
            return cls(float(match[1]), int(match[2]), int(match[3]))
        if (match := _REDUCED.fullmatch(plain)) and int(match[3]) > 0:
            last = int(match[3]) - 1
            return cls(float(match[1]), last if match[2] == "min" else 0, last)
        raise ValueError(f"score normalisation: got {text!r}; {_WAYS}")

    def bias(
        self, queries: ArrayLike | Embeddings, background: Searchable, progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(Q,) what each query's scores are less by: the same bits on any machine.

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
