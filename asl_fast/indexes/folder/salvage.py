"""What is sound in a damaged shard: of each block, the file that still has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.indexes.folder.sections import BLOCK_BYTES, Head, SectionFile, parse_head
from asl_fast.indexes.folder.shard import Columns, block_rows, ids_path, rows_path

Bytes = NDArray[np.uint8]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Salvaged:
    """The rows of a shard, in its order, and which of them are lost.

    raw_id_N: b"" where even the id is lost (named_N False). num_paths_lost: rows kept without their path.
    """

    columns: Columns
    lost_N: Flags
    named_N: Flags
    num_dims: int
    fingerprint: str
    num_paths_lost: int
    rows_file: SectionFile | None

    def rows(self, keep_N: Flags) -> Iterator[NDArray[np.float32]]:
        """The rows to keep, a block at a time."""
        if self.rows_file is None:
            return
        offset, step, row_bytes = (
            self.rows_file.section("rows").offset,
            block_rows(self.num_dims),
            4 * self.num_dims,
        )
        for start in range(0, len(keep_N), step):
            keep_B = keep_N[start : start + step]
            first, stop = offset + start * row_bytes, offset + (start + len(keep_B)) * row_bytes
            data = np.zeros(stop - first, np.uint8)
            for at in range(first, stop, BLOCK_BYTES):  # one bad spot of a disk must not cost its neighbours
                part = self.rows_file.bytes_at(at, min(at + BLOCK_BYTES, stop))
                data[at - first : at - first + len(part)] = np.frombuffer(part, np.uint8)
            yield data.view(np.float32).reshape(-1, self.num_dims)[keep_B]


def salvage(folder: Path, number: int, rows_digest: str | None, ids_digest: str | None) -> Salvaged | None:
    """Whatever can be told of a shard; None if neither file has a head that can be read.

    The digests are those in the catalogue, None where that is gone.
    """
    ids = _opened(ids_path(folder, number), ids_digest)
    rows = _opened(rows_path(folder, number), rows_digest)
    if rows is None and ids is not None:
        head = _head_of_rows(ids, rows_digest)
        rows = None if head is None else _opened(rows_path(folder, number), rows_digest, head)
    both = [file for file in (ids, rows) if file is not None]
    if not both:
        return None
    about = both[0].head.about
    num_rows, num_dims = int(about["num_rows"]), int(about["num_dims"])
    row_bad_N = np.ones(num_rows, bool)
    if rows is not None and "rows" in rows.head.sections:
        section = rows.section("rows")
        bad_B = np.array(
            [not rows.block_is_sound(section, block) for block in range(len(section.crc_B))], bool
        )
        start_N = np.arange(num_rows) * 4 * num_dims
        row_bad_N = _touches(bad_B, start_N, start_N + 4 * num_dims)
    norm, norm_bad_N = _numbers(both, "norm", num_rows)
    sequence, sequence_bad_N = _numbers(both, "sequence", num_rows)
    raw_id_N, id_bad_N = _texts(both, "id", num_rows)
    raw_path_N, path_bad_N = None, np.zeros(num_rows, bool)
    if any("path_end" in file.head.sections for file in both):
        raw_path_N, path_bad_N = _texts(both, "path", num_rows)
    lost_N = row_bad_N | norm_bad_N | sequence_bad_N | id_bad_N
    return Salvaged(
        columns=Columns(
            norm_N=norm.view(np.float64), sequence_N=sequence.view(np.int64),
            raw_id_N=raw_id_N, raw_path_N=raw_path_N,
        ),
        lost_N=lost_N,
        named_N=~id_bad_N,
        num_dims=num_dims,
        fingerprint=str(about.get("fingerprint", "")),
        num_paths_lost=int((path_bad_N & ~lost_N).sum()),
        rows_file=rows,
    )  # fmt: skip


def _opened(path: Path, digest: str | None, head: Head | None = None) -> SectionFile | None:
    """None if the file is gone or its head is."""
    try:
        file = SectionFile(path, digest=digest, head=head, whole=False)
    except (InputError, FileNotFoundError):
        return None
    about, norm = file.head.about, file.head.sections.get("norm")
    fits = norm is not None and norm.shape == (about.get("num_rows"),) and type(about.get("num_dims")) is int
    return file if fits and about["num_dims"] >= 1 else None


def _head_of_rows(ids: SectionFile, digest: str | None) -> Head | None:
    """The head of the .rows file that stands in the .ids file."""
    raw, bad_B = _bytes([ids], "rows_head")
    if bad_B.any():
        return None
    try:
        head = parse_head(bytes(raw), ids.path)
    except InputError:
        return None
    return head if digest in (None, head.digest) else None


def _bytes(files: list[SectionFile], name: str) -> tuple[Bytes, Flags]:
    """A section's bytes, each block from a file where it is sound, and which blocks are so in none."""
    files = [file for file in files if name in file.head.sections]
    if not files:
        return np.empty(0, np.uint8), np.ones(1, bool)
    first = files[0].section(name)
    data, bad_B = np.zeros(first.size, np.uint8), np.ones(len(first.crc_B), bool)
    for file in files:
        section = file.section(name)
        if section.size != first.size:
            continue
        for block in np.flatnonzero(bad_B).tolist():
            if file.block_is_sound(section, block):
                start, stop = block * BLOCK_BYTES, min((block + 1) * BLOCK_BYTES, first.size)
                part = file.bytes_at(section.offset + start, section.offset + stop)
                data[start:stop] = np.frombuffer(part, np.uint8)
                bad_B[block] = False
    return data, bad_B


def _numbers(files: list[SectionFile], name: str, num_rows: int) -> tuple[Bytes, Flags]:
    """The bytes of a column of 8-byte numbers, and the rows that are not sound in it."""
    data, bad_B = _bytes(files, name)
    if len(data) != 8 * num_rows:
        return np.zeros(8 * num_rows, np.uint8), np.ones(num_rows, bool)
    start_N = np.arange(num_rows) * 8
    return data, _touches(bad_B, start_N, start_N + 8)


def _texts(files: list[SectionFile], name: str, num_rows: int) -> tuple[list[bytes], Flags]:
    """The texts, b"" for those that are lost, and which are."""
    ends, bad_N = _numbers(files, f"{name}_end", num_rows)
    end_N = ends.view(np.int64)
    text, bad_B = _bytes(files, f"{name}_text")
    start_N = np.concatenate([[0], end_N[:-1]])
    bad_N |= np.concatenate([[False], bad_N[:-1]])
    bad_N |= (start_N < 0) | (start_N > end_N) | (end_N > len(text))
    start_N, end_N = np.where(bad_N, 0, start_N), np.where(bad_N, 0, end_N)
    bad_N |= _touches(bad_B, start_N, end_N)
    whole = text.tobytes()
    pairs = zip(start_N.tolist(), end_N.tolist(), bad_N.tolist(), strict=True)
    return [b"" if bad else whole[start:end] for start, end, bad in pairs], bad_N


def _touches(bad_B: Flags, start_N: NDArray[np.int64], stop_N: NDArray[np.int64]) -> Flags:
    """Which of the byte ranges touch a bad block."""
    before = np.concatenate([[0], np.cumsum(bad_B)])
    first_N = np.minimum(start_N // BLOCK_BYTES, len(bad_B))
    last_N = np.minimum(-(-stop_N // BLOCK_BYTES), len(bad_B))
    return before[np.maximum(first_N, last_N)] > before[first_N]
