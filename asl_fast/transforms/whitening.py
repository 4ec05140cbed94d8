"""PCA whitening of directions: fitted on a training set, applied to references, queries and background alike.

    y = A u + b,  to length 1;   A = diag(eigenvalue ^ power) V^T,  b = -A mean,  of unit rows u

V holds the eigenvectors of the training rows' covariance, those of the largest eigenvalues; power -0.5
whitens, 0 only turns and cuts. The numbers are float32, as in FAISS, so that a file gives what the fit gave.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.records import checked_norms
from asl_fast.transforms.directions import to_length_1, unit_blocks

WHITEN = -0.5
_NOISE = 1e-12  # an eigenvalue that rounding to float32 gives, where unit rows do not vary


@dataclass(frozen=True, kw_only=True)
class Principal:
    """What a fit found: mean_D, eigenvalue_D falling, vector_DD (one a row), float32; and the power used."""

    mean_D: NDArray[np.float32]
    eigenvalue_D: NDArray[np.float32]
    vector_DD: NDArray[np.float32]
    power: float


@dataclass(frozen=True, kw_only=True)
class Whitening:
    """A map of directions. matrix_ED, bias_E: float32.  principal: where they come from, if that is known."""

    matrix_ED: NDArray[np.float32]
    bias_E: NDArray[np.float32]
    principal: Principal | None = None
    name: str = "whitening"

    def __post_init__(self) -> None:
        if self.matrix_ED.ndim != 2 or self.bias_E.shape != self.matrix_ED.shape[:1]:
            raise ValueError(
                f"{self.name}: the matrix must be (E, D) and the bias (E,), got {self.matrix_ED.shape} and "
                f"{self.bias_E.shape}"
            )
        if not (np.isfinite(self.matrix_ED).all() and np.isfinite(self.bias_E).all()):
            raise ValueError(f"{self.name}: holds NaN or infinite values; fit it again")

    @property
    def num_dims(self) -> int:
        """Of the rows that it takes."""
        return int(self.matrix_ED.shape[1])

    def __call__(self, unit_BD: NDArray[np.float64]) -> NDArray[np.float64]:
        """unit_BE. ValueError where a row is mapped to nothing, or has another width."""
        if unit_BD.shape[1] != self.num_dims:
            raise ValueError(
                f"{self.name} takes rows of {self.num_dims} columns, got {unit_BD.shape[1]}; fit it on rows "
                "of the same model"
            )
        return to_length_1(unit_BD @ self.matrix_ED.T.astype(np.float64) + self.bias_E, self.name)

    def digest(self) -> bytes:
        """Of the numbers."""
        return hashlib.sha256(self.matrix_ED.tobytes() + self.bias_E.tobytes()).digest()


def fit_whitening(
    row_ND: NDArray[Any], num_dims: int, power: float = WHITEN, name: str = "rows"
) -> Whitening:
    """Whitening of unit rows to num_dims, from the covariance of these.

    ValueError if the rows vary in fewer directions, or if one has none. Takes memory for D x D numbers.
    """
    num_rows, width = row_ND.shape
    if not 1 <= num_dims <= width:
        raise ValueError(
            f"{name}: whitening keeps from 1 to {width} dimensions, the rows' own, got {num_dims}"
        )
    norm_N = checked_norms(row_ND, name)
    mean_D = sum(unit_BD.sum(axis=0) for unit_BD in unit_blocks(row_ND, norm_N)) / num_rows
    covariance_DD = np.zeros((width, width))
    for unit_BD in unit_blocks(row_ND, norm_N):
        covariance_DD += (unit_BD - mean_D).T @ (unit_BD - mean_D)
    eigenvalue_D, vector_DD = np.linalg.eigh(covariance_DD / num_rows)
    eigenvalue_D, vector_DD = eigenvalue_D[::-1].copy(), vector_DD[:, ::-1].T
    num_varying = int((eigenvalue_D > _NOISE).sum())
    if num_varying < num_dims:
        raise ValueError(
            f"{name}: its {num_rows} rows vary in {num_varying} directions only, too few to whiten to "
            f"{num_dims}; fit on more rows, or keep fewer dimensions"
        )
    # either sign would do: the largest component of each is made positive
    largest_D1 = np.take_along_axis(vector_DD, np.abs(vector_DD).argmax(axis=1)[:, None], axis=1)
    vector_DD = vector_DD * np.sign(largest_D1)
    matrix_ED = vector_DD[:num_dims] * eigenvalue_D[:num_dims, None] ** power
    return Whitening(
        matrix_ED=matrix_ED.astype(np.float32),
        bias_E=(-matrix_ED @ mean_D).astype(np.float32),
        principal=Principal(
            mean_D=mean_D.astype(np.float32),
            eigenvalue_D=np.maximum(eigenvalue_D, 0).astype(np.float32),
            vector_DD=vector_DD.astype(np.float32),
            power=power,
        ),
        name=f"whitening fitted on {name}",
    )
