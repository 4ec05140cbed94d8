"""One shard: rows sorted by norm, largest first (ties: the one added first), in two files that never change.

    shard-00000007.rows    rows, and the small columns
    shard-00000007.ids     the small columns again, the table that finds a row by id, and the head of .rows

    rows (N, D) float32           mapped; at a multiple of 64 bytes
    norm (N,) float64             what the shard is sorted by: the rows' own, or another network's
    sequence (N,) int64           when a row was added, counted over the life of the index
    id_end (N,), id_text          see texts.py; path_end, path_text likewise, where paths are known
    codes (N, D) and its columns  see codes.py
    lookup (N,) uint64            CRC-32 of the id * 2^32 + row, sorted

The small columns take about 5 % of the space; standing twice, they survive damage to either file, so a repair
can name what it lost. Readers skip sections that they don't know; shards of format 1.0 have no codes.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.catalogue import ShardEntry
from asl_fast.indexes.folder.codes import CodeWriter, read_codes
from asl_fast.indexes.folder.section_writer import Planned, planned, write_sections
from asl_fast.indexes.folder.sections import Damaged, SectionFile
from asl_fast.indexes.folder.texts import Texts, packed
from asl_fast.kernels.ratio_search import Codes

SMALL = {
    "norm": "<f8",
    "sequence": "<i8",
    "id_end": "<i8",
    "id_text": "|u1",
    "path_end": "<i8",
    "path_text": "|u1",
}
MAX_ROWS = 1 << 31  # a row's number shares 64 bits with its id's CRC
_BLOCK_BYTES = 1 << 23


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The small columns of rows that will be a shard, already in its order. raw: encoded texts."""

    norm_N: NDArray[np.float64]
    sequence_N: NDArray[np.int64]
    raw_id_N: Sequence[bytes]
    raw_path_N: Sequence[bytes] | None

    def sections(self) -> dict[str, Planned]:
        arrays: dict[str, NDArray[Any]] = {"norm": self.norm_N, "sequence": self.sequence_N}
        arrays["id_end"], arrays["id_text"] = packed(self.raw_id_N)
        if self.raw_path_N is not None:
            arrays["path_end"], arrays["path_text"] = packed(self.raw_path_N)
        return {name: planned(array, SMALL[name]) for name, array in arrays.items()}


def norm_order(norm_N: NDArray[np.float64], sequence_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order of a shard: norm descending, then the one added first."""
    return np.lexsort((sequence_N, -norm_N))


def rows_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:08d}.rows"


def ids_path(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:08d}.ids"


def block_rows(num_dims: int) -> int:
    """Rows that are copied at once."""
    return max(1, _BLOCK_BYTES // (4 * num_dims))


def write_shard(
    folder: Path,
    number: int,
    columns: Columns,
    row_blocks: Iterable[NDArray[np.float32]],
    num_dims: int,
    about: Mapping[str, Any],
) -> ShardEntry:
    """Write both files, synced. The row blocks are taken one by one, so they need not fit memory."""
    small = columns.sections()
    num_rows = len(columns.norm_N)
    about = {"shard": number, "num_rows": num_rows, "num_dims": num_dims, **about}
    path = rows_path(folder, number)
    with CodeWriter(path, num_rows, num_dims) as codes:
        rows = Planned(dtype="<f4", shape=(num_rows, num_dims), parts=codes.watched(row_blocks))
        head = write_sections(path, {"kind": "rows", **about}, {"rows": rows, **small, **codes.sections()})
    lookup_N = np.sort(lookup_keys(columns.raw_id_N) + np.arange(num_rows, dtype=np.uint64))
    more = {
        "lookup": planned(lookup_N, "<u8"),
        "rows_head": planned(np.frombuffer(head.raw, np.uint8), "|u1"),
    }
    ids_head = write_sections(ids_path(folder, number), {"kind": "ids", **about}, {**small, **more})
    return ShardEntry(
        number=number,
        num_rows=num_rows,
        min_norm=float(columns.norm_N[-1]),
        max_norm=float(columns.norm_N[0]),
        num_bytes=head.size + ids_head.size,
        rows_digest=head.digest,
        ids_digest=ids_head.digest,
    )


def lookup_keys(raw_N: Sequence[bytes]) -> NDArray[np.uint64]:
    """CRC-32 of each id, in the upper half."""
    return np.fromiter(map(zlib.crc32, raw_N), np.uint64, len(raw_N)) << np.uint64(32)


class Shard:
    """A shard to read. Opening checks heads, tables and sizes; the small columns are checked when first used.

    Both files stay readable after they are removed, until `close`.
    """

    def __init__(self, folder: Path, entry: ShardEntry, num_dims: int) -> None:
        self.entry, self.num_dims = entry, num_dims
        self.rows_file = SectionFile(rows_path(folder, entry.number), digest=entry.rows_digest)
        self.ids_file = SectionFile(ids_path(folder, entry.number), digest=entry.ids_digest)
        self.rows_file.expect("rows", "<f4", (entry.num_rows, num_dims))

    def __len__(self) -> int:
        return self.entry.num_rows

    def close(self) -> None:
        self.rows_file.close()
        self.ids_file.close()

    @property
    def row_ND(self) -> NDArray[np.float32]:
        """Mapped."""
        return self.rows_file.map("rows")

    def checked_rows(self) -> NDArray[np.float32]:
        """Mapped, their checksums checked: for who copies them under new ones. Damaged if one differs."""
        return self.rows_file.read("rows", "<f4", (len(self), self.num_dims))

    @cached_property
    def codes(self) -> Codes | None:
        """Mapped, their checksums checked; None where the shard has none."""
        return read_codes(self.rows_file, len(self), self.num_dims)

    @cached_property
    def norm_N(self) -> NDArray[np.float64]:
        return self._small("norm")

    @cached_property
    def sequence_N(self) -> NDArray[np.int64]:
        return self._small("sequence")

    @cached_property
    def id_N(self) -> Texts:
        return self._texts("id")

    @cached_property
    def path_N(self) -> Texts | None:
        """None where no path is known; "" for a row whose path isn't."""
        return self._texts("path") if "path_end" in self.ids_file.head.sections else None

    @cached_property
    def lookup_N(self) -> NDArray[np.uint64]:
        return self.ids_file.read("lookup", "<u8", (len(self),))

    def find(self, raw_M: Sequence[bytes], key_M: NDArray[np.uint64]) -> list[tuple[int, int]]:
        """(place in raw_M, row) of every row that has one of these ids, removed rows too."""
        first_M = np.searchsorted(self.lookup_N, key_M)
        stop_M = np.searchsorted(self.lookup_N, key_M | np.uint64(0xFFFFFFFF), side="right")
        found = []
        for place in np.flatnonzero(stop_M > first_M).tolist():
            for key in self.lookup_N[first_M[place] : stop_M[place]].tolist():
                row = key & 0xFFFFFFFF
                if row >= len(self):
                    raise Damaged(self.ids_file.path, f"the lookup names row {row} of {len(self)}")
                if self.id_N.raw(row) == raw_M[place]:
                    found.append((place, row))
        return found

    def _small(self, name: str) -> NDArray[Any]:
        return self.ids_file.read(name, SMALL[name], (len(self),))

    def _texts(self, name: str) -> Texts:
        text = self.ids_file.read(f"{name}_text", "|u1", (-1,))
        try:
            return Texts(self._small(f"{name}_end"), text)
        except ValueError as error:
            raise Damaged(self.ids_file.path, f"{name}: {error}") from None
