"""What may be done to rows after embedding: only their directions change, every row keeps its norm.

    whitening = fit_whitening(train, 256)              # or read_whitening("w.vt"), FAISS's too
    negatives = Negatives(transformed(train, [whitening]))
    refs, queries = (transformed(side, [whitening, negatives]) for side in (refs, queries))

whitening.py         PCA whitening
vector_transform.py  its files, FAISS's .vt
negatives.py         negative embedding subtraction
directions.py        rows of length 1
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asl_fast.records import Embeddings, norms
from asl_fast.transforms.directions import BLOCK_ROWS, unit_blocks
from asl_fast.transforms.negatives import Negatives, Subtraction
from asl_fast.transforms.vector_transform import SUFFIX, read_whitening, write_whitening
from asl_fast.transforms.whitening import Whitening, fit_whitening

__all__ = [
    "SUFFIX",
    "Negatives",
    "Subtraction",
    "Whitening",
    "fit_whitening",
    "read_whitening",
    "transformed",
    "write_whitening",
]


def transformed(embeddings: Embeddings, steps: Sequence[Whitening | Negatives]) -> Embeddings:
    """The same pictures with other directions: each step in turn, then as long as norm_N says.

    So rows keep their ratios, to the rounding of float32, in any format. The fingerprint becomes one of model
    and steps together: rows of another treatment are never compared with these unnoticed.
    ValueError where a step leaves nothing of a row, or takes rows of another width.
    """
    out_ND, width = None, embeddings.num_dims
    blocks = unit_blocks(embeddings.row_ND, norms(embeddings.row_ND))
    for first, unit_BD in zip(range(0, len(embeddings), BLOCK_ROWS), blocks, strict=True):
        for step in steps:
            unit_BD = step(unit_BD)
        width = unit_BD.shape[1]
        if out_ND is None:
            out_ND = np.empty((len(embeddings), width), np.float32)
        out_ND[first : first + len(unit_BD)] = unit_BD * embeddings.norm_N[first : first + len(unit_BD), None]
    assert out_ND is not None
    digest = hashlib.sha256(embeddings.fingerprint.encode())
    for step in steps:
        digest.update(step.digest())
    return replace(embeddings, row_ND=out_ND, norm_N=norms(out_ND), fingerprint=digest.hexdigest()[:16])
