"""The int8 codes of rows, made once and kept (csrc/ratio_search/codes.h)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast import _C
from asl_fast.kernels.ratio_search.rows import row_norms, stored_rows
from asl_fast.kernels.ratio_search.threads import checked_threads


@dataclass(frozen=True, kw_only=True)
class Codes:
    """What the screen makes of rows; whoever keeps it needn't read the rows again to search them.

    code_ND: int8.  scale_N: float32, the unit row is about code / scale.  residual_N: float32, at least how
    far off that is.  row_norm_N: float64, sqrt(dot(x, x)) of the rows.
    """

    code_ND: NDArray[np.int8]
    scale_N: NDArray[np.float32]
    residual_N: NDArray[np.float32]
    row_norm_N: NDArray[np.float64]

    def part(self, rows: slice) -> Codes:
        """Those of some of the rows."""
        return Codes(**{name: column_N[rows] for name, column_N in vars(self).items()})


def encode(rows: ArrayLike, *, num_threads: int | None = None, name: str = "references") -> Codes:
    """The codes that PreparedRefs would make of the rows. ValueError names a row that has no direction."""
    row_ND = stored_rows(rows, name).array_ND
    threads = checked_threads(num_threads)
    row_norm_N = row_norms(row_ND, name, num_threads=threads)
    code_ND, scale_N, residual_N = _C.encode_rows(row_ND, row_norm_N, threads)
    return Codes(code_ND=code_ND, scale_N=scale_N, residual_N=residual_N, row_norm_N=row_norm_N)
