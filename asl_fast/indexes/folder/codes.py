"""The screen's int8 codes of a shard's rows, so that a search need not read the rows to make them.

    codes (N, D) int8, code_scale (N,) float32, code_residual (N,) float32    csrc/ratio_search/codes.h
    row_norm (N,) float64    sqrt(dot(row, row)), which `norm` may not be

They take about a quarter of what the rows take. What is trusted: that they were made of these rows. A search
checks their checksums; the head's SHA-256 and the catalogue's bind them to the shard, and `verify` makes them
anew and compares. Codes that lie in spite of that can hide a pair, never invent one: what is found has been
scored from the rows, and a search ends with an error at the first score that its code rules out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.section_writer import Planned, planned
from asl_fast.indexes.folder.sections import SectionFile
from asl_fast.kernels.ratio_search import Codes, encode

TYPES = {"codes": "|i1", "code_scale": "<f4", "code_residual": "<f4", "row_norm": "<f8"}
_BLOCK_BYTES = 1 << 23


class CodeWriter:
    """Makes the codes of rows on their way to the disk; a file without a name keeps them until their turn."""

    def __init__(self, file: Path, num_rows: int, num_dims: int) -> None:
        self._shape = (num_rows, num_dims)
        self._column = {name: np.empty(num_rows, kind) for name, kind in TYPES.items() if name != "codes"}
        self._spool = tempfile.TemporaryFile(  # noqa: SIM115 -- closed by __exit__
            prefix=f".{file.name}-codes.", suffix=".tmp", dir=file.parent
        )

    def __enter__(self) -> CodeWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()

    def watched(self, row_blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """The same blocks."""
        start = 0
        for block_BD in row_blocks:
            if len(block_BD):
                codes = encode(block_BD)
                self._spool.write(codes.code_ND.data)
                made = {
                    "code_scale": codes.scale_N,
                    "code_residual": codes.residual_N,
                    "row_norm": codes.row_norm_N,
                }
                for name, column_B in made.items():
                    self._column[name][start : start + len(block_BD)] = column_B
                start += len(block_BD)
            yield block_BD

    def sections(self) -> dict[str, Planned]:
        """To be written after the rows: only then are they filled."""
        columns = {name: planned(column_N, TYPES[name]) for name, column_N in self._column.items()}
        return {"codes": Planned(dtype=TYPES["codes"], shape=self._shape, parts=self._spooled()), **columns}

    def _spooled(self) -> Iterator[NDArray[np.uint8]]:
        self._spool.seek(0)
        while block := self._spool.read(_BLOCK_BYTES):
            yield np.frombuffer(block, np.uint8)


def read_codes(file: SectionFile, num_rows: int, num_dims: int) -> Codes | None:
    """The codes, mapped, their checksums checked; None for a shard of an older version, which has none."""
    if not file.head.sections.keys() >= TYPES.keys():
        return None
    column: dict[str, NDArray[Any]] = {
        name: file.read(name, kind, (num_rows, num_dims) if name == "codes" else (num_rows,))
        for name, kind in TYPES.items()
    }
    return Codes(
        code_ND=column["codes"],
        scale_N=column["code_scale"],
        residual_N=column["code_residual"],
        row_norm_N=column["row_norm"],
    )


def are_of(codes: Codes, row_blocks: Iterable[NDArray[np.float32]], num_threads: int | None) -> bool:
    """Whether these are the codes of the rows."""
    start = 0
    for block_BD in row_blocks:
        made = encode(block_BD, num_threads=num_threads)
        part = slice(start, start + len(block_BD))
        if not all(
            np.array_equal(column_N[part], vars(made)[name]) for name, column_N in vars(codes).items()
        ):
            return False
        start += len(block_BD)
    return True
