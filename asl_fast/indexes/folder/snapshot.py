"""One state of an index, to read: it stays what it is while others add, remove and compact.

Opening maps all files of the state. A writer never changes a file, it adds new ones and removes the names of
those that the new state has no use for; what is mapped stays readable, and its space is freed when the last
reader has closed. So readers take no lock and writers wait for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.catalogue import Catalogue, newest
from asl_fast.indexes.folder.found import Found, PreparedShard, merged_pairs
from asl_fast.indexes.folder.merge import planned_rows
from asl_fast.indexes.folder.sections import Damaged
from asl_fast.indexes.folder.shard import Shard
from asl_fast.indexes.folder.texts import Texts
from asl_fast.indexes.searchable import Searchable
from asl_fast.kernels.ratio_search import MAX_REFS, Progress, Question, check_count
from asl_fast.records import Candidates, Embeddings, Pairs


class Snapshot(Searchable):
    """An open state. Rows are numbered in the order in which they were added, removed ones left out.

    device, num_threads: of the searches. keep_prepared: keep what the engine makes of each shard between
    searches (fast), or make it anew each time (memory for one shard only).
    InputError if the folder is no index, Damaged if its catalogue or a file's head is not what was written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: str = "cpu",
        num_threads: int | None = None,
        keep_prepared: bool = True,
    ) -> None:
        self.path = Path(path)
        self.name = os.fspath(path)
        self.catalogue, self.shards = opened(self.path)
        self._device, self._num_threads, self._keep = device, num_threads, keep_prepared
        self._prepared: dict[int, PreparedShard] = {}

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self._prepared.clear()
        for shard in self.shards:
            shard.close()

    def __len__(self) -> int:
        return self.catalogue.num_rows

    @property
    def num_dims(self) -> int:
        return self.catalogue.num_dims

    @property
    def fingerprint(self) -> str:
        return self.catalogue.fingerprint

    @cached_property
    def live(self) -> list[NDArray[np.int64]]:
        """Rows of each shard that are not removed."""
        return [live_rows(self.catalogue, shard) for shard in self.shards]

    @cached_property
    def _order(self) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.int64]]:
        """Shard, row in it and sequence of every live row, in order of addition."""
        if not self.shards:
            return np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.int64)
        source_L = np.repeat(np.arange(len(self.shards)), [len(row_L) for row_L in self.live])
        row_L = np.concatenate(self.live)
        pairs = zip(self.shards, self.live, strict=True)
        sequence_L = np.concatenate([shard.sequence_N[live_L] for shard, live_L in pairs])
        order_L = np.argsort(sequence_L, kind="stable")
        return source_L[order_L], row_L[order_L], sequence_L[order_L]

    @cached_property
    def norm_N(self) -> NDArray[np.float64]:
        """Norms in order of addition."""
        return self._gathered([shard.norm_N for shard in self.shards], np.empty(len(self)))

    @cached_property
    def ids(self) -> ColumnOfTexts:
        """Ids in order of addition, read where they lie."""
        return ColumnOfTexts([shard.id_N for shard in self.shards], *self._order[:2])

    @cached_property
    def path_N(self) -> ColumnOfTexts | None:
        """Paths in order of addition, "" where one isn't known; None if none is."""
        paths = [shard.path_N for shard in self.shards]
        return ColumnOfTexts(paths, *self._order[:2]) if any(path_N is not None for path_N in paths) else None

    def embeddings(self, scratch: str | os.PathLike[str] | None = None) -> Embeddings:
        """All rows in order of addition. ValueError if there are none.

        The shards lie in another order, so this is a copy: in memory, or in a file that is made at `scratch`
        and mapped.
        """
        if scratch is None or len(self) == 0:
            row_LD = np.empty((len(self), self.num_dims), np.float32)
        else:
            row_LD = np.memmap(scratch, np.float32, "w+", shape=(len(self), self.num_dims))
        start = 0
        for block_BD in planned_rows([shard.row_ND for shard in self.shards], self._order[:2], self.num_dims):
            row_LD[start : start + len(block_BD)] = block_BD
            start += len(block_BD)
        return Embeddings(
            ids=list(self.ids),
            row_ND=row_LD.view(np.ndarray),
            norm_N=self.norm_N,
            path_N=None if self.path_N is None else list(self.path_N),
            fingerprint=self.fingerprint,
            name=self.name,
        )

    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates:
        check_count(k, "k", MAX_REFS)
        found: Found | None = None
        for shard, shown in self._prepared_in_turn(len(question), progress):
            part = shard.nearest(question, k, shown)
            found = part if found is None else found.merged(part, k)
            question = question.above(found.floor_Q(k))
        assert found is not None
        return found.candidates(self._order[2], k)

    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        parts: list[Pairs] = []
        for shard, shown in self._prepared_in_turn(len(question), progress):
            parts.append(shard.best_pairs(question, num_pairs, k, shown))
            parts = [merged_pairs(parts, num_pairs, k)]
            if len(parts[0]) == num_pairs:
                question = question.above(parts[0].score_M[-1])
        return replace(parts[0], ref_row_M=np.searchsorted(self._order[2], parts[0].ref_row_M))

    def _prepared_in_turn(
        self, num_queries: int, progress: Progress | None
    ) -> Iterator[tuple[PreparedShard, Progress | None]]:
        """Each shard that holds live rows, with the progress to show while it is searched. At least one."""
        if len(self) == 0:
            raise ValueError(f"{self.name}: the index holds no rows; add some first")
        done, in_all = 0, num_queries * len(self)
        for shard, live_L in zip(self.shards, self.live, strict=True):
            if len(live_L) == 0:
                continue
            share = num_queries * len(live_L)
            yield self._prepare(shard, live_L), _moved(progress, done, share, in_all)
            done += share

    def _prepare(self, shard: Shard, live_L: NDArray[np.int64]) -> PreparedShard:
        number = shard.entry.number
        if number in self._prepared:
            return self._prepared[number]
        prepared = PreparedShard(shard, live_L, self._device, self._num_threads)
        if self._keep:
            self._prepared[number] = prepared
        return prepared

    def _gathered(self, columns: Sequence[NDArray[Any]], out_L: NDArray[Any]) -> NDArray[Any]:
        source_L, row_L, _ = self._order
        for source, column_N in enumerate(columns):
            mine_L = source_L == source
            out_L[mine_L] = column_N[row_L[mine_L]]
        return out_L


class ColumnOfTexts(Sequence[str]):
    """Texts of several shards in one order. source_L, row_L: where each stands."""

    def __init__(
        self, texts: Sequence[Texts | None], source_L: NDArray[np.intp], row_L: NDArray[np.int64]
    ) -> None:
        self._texts, self._source_L, self._row_L = texts, source_L, row_L

    def __len__(self) -> int:
        return len(self._row_L)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        texts = self._texts[self._source_L[row]]
        return "" if texts is None else texts[int(self._row_L[row])]


def live_rows(catalogue: Catalogue, shard: Shard) -> NDArray[np.int64]:
    """Sorted rows of a shard that are not removed."""
    is_live_N = np.ones(len(shard), bool)
    is_live_N[catalogue.dead.get(shard.entry.number, np.empty(0, np.int64))] = False
    return np.flatnonzero(is_live_N)


def opened(folder: Path) -> tuple[Catalogue, list[Shard]]:
    """The current state with all its files mapped. A state that is replaced meanwhile is tried anew."""
    while True:
        file = newest(folder)
        shards: list[Shard] = []
        try:
            catalogue = file.load()
            for entry in catalogue.shards:
                shards.append(Shard(folder, entry, catalogue.num_dims))
            return catalogue, shards
        except (FileNotFoundError, Damaged) as error:
            for shard in shards:
                shard.close()
            if newest(folder) != file:
                continue
            if isinstance(error, FileNotFoundError):
                raise Damaged(str(error.filename), "the file is gone") from None
            raise


def _moved(progress: Progress | None, done: int, share: int, in_all: int) -> Progress | None:
    """Progress of one shard as that of all."""
    if progress is None:
        return None
    return lambda now, _: progress(done + min(now, share), in_all)
