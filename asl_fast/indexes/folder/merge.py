"""Several shards, each sorted by norm, merged into one order with bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.shard import Columns, Shard, block_rows, norm_order

Plan = tuple[NDArray[np.intp], NDArray[np.int64]]  # source shard and row in it, in the order of the output


def merged_plans(shards: Sequence[Shard], live: Sequence[NDArray[np.int64]], max_rows: int) -> Iterator[Plan]:
    """Plans of at most max_rows rows that together hold all live rows, norm descending, then first added.

    live: sorted rows of each shard. Memory grows with max_rows, not with the index.
    """
    sources: list[NDArray[np.intp]] = []
    rows: list[NDArray[np.int64]] = []
    room = max_rows
    for source_B, row_B in _merged_blocks(shards, live, max(1, min(max_rows, 1 << 16))):
        while len(source_B):
            sources.append(source_B[:room])
            rows.append(row_B[:room])
            source_B, row_B, room = source_B[room:], row_B[room:], room - len(sources[-1])
            if room == 0:
                yield np.concatenate(sources), np.concatenate(rows)
                sources, rows, room = [], [], max_rows
    if sources:
        yield np.concatenate(sources), np.concatenate(rows)


def _merged_blocks(shards: Sequence[Shard], live: Sequence[NDArray[np.int64]], size: int) -> Iterator[Plan]:
    """The next `size` rows of the merge can only be among the next `size` of each shard."""
    place_S = np.zeros(len(shards), np.int64)
    while True:
        head = [row_L[place : place + size] for row_L, place in zip(live, place_S, strict=True)]
        source_H = np.repeat(np.arange(len(shards)), [len(row_L) for row_L in head])
        if len(source_H) == 0:
            return
        row_H = np.concatenate(head)
        norm_H = np.concatenate([shard.norm_N[row_L] for shard, row_L in zip(shards, head, strict=True)])
        sequence_H = np.concatenate(
            [shard.sequence_N[row_L] for shard, row_L in zip(shards, head, strict=True)]
        )
        first_B = norm_order(norm_H, sequence_H)[:size]
        place_S += np.bincount(source_H[first_B], minlength=len(shards))
        yield source_H[first_B], row_H[first_B]


def planned_columns(shards: Sequence[Shard], plan: Plan) -> Columns:
    """The small columns of a plan's rows."""
    source_N, row_N = plan
    norm_N, sequence_N = np.empty(len(row_N)), np.empty(len(row_N), np.int64)
    for source, shard in enumerate(shards):
        mine_N = source_N == source
        norm_N[mine_N] = shard.norm_N[row_N[mine_N]]
        sequence_N[mine_N] = shard.sequence_N[row_N[mine_N]]
    pairs = list(zip(source_N.tolist(), row_N.tolist(), strict=True))
    ids = [shard.id_N for shard in shards]
    paths = [shard.path_N for shard in shards]
    raw_path_N = None
    if any(path_N is not None for path_N in paths):
        raw_path_N = [b"" if (path_N := paths[source]) is None else path_N.raw(row) for source, row in pairs]
    return Columns(
        norm_N=norm_N,
        sequence_N=sequence_N,
        raw_id_N=[ids[source].raw(row) for source, row in pairs],
        raw_path_N=raw_path_N,
    )


def planned_rows(
    rows: Sequence[NDArray[np.float32]], plan: Plan, num_dims: int
) -> Iterator[NDArray[np.float32]]:
    """The rows of a plan, a block at a time."""
    source_N, row_N = plan
    step = block_rows(num_dims)
    for start in range(0, len(row_N), step):
        source_B, row_B = source_N[start : start + step], row_N[start : start + step]
        block_BD = np.empty((len(row_B), num_dims), np.float32)
        for source in np.unique(source_B).tolist():
            mine_B = source_B == source
            block_BD[mine_B] = rows[source][row_B[mine_B]]
        yield block_BD
