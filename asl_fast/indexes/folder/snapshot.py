"""One state of an index, to read: it stays what it is while others add, remove and compact.

Opening maps all files of the state. A writer never changes a file, it adds new ones and removes the names of
those that the new state has no use for; what is mapped stays readable, and its space is freed when the last
reader has closed. So readers take no lock and writers wait for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from asl_fast.indexes.folder.catalogue import Catalogue, newest
from asl_fast.indexes.folder.found import Found, PreparedShard, Progress, as_candidates, asked, merged
from asl_fast.indexes.folder.merge import planned_rows
from asl_fast.indexes.folder.sections import Damaged
from asl_fast.indexes.folder.shard import Shard
from asl_fast.indexes.folder.texts import Texts
from asl_fast.records import Candidates, Embeddings


class Snapshot:
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

    def search(
        self,
        queries: ArrayLike | Embeddings,
        k: int | None = 10,
        tau: ArrayLike = 1.0,
        min_score: ArrayLike | None = None,
        *,
        direction: str = "copy",
        query_norms: ArrayLike | None = None,
        progress: Progress | None = None,
    ) -> Candidates:
        """As Index.search, and with its result for one Index over these rows in order of addition."""
        question = asked(queries, query_norms, k, tau, min_score, direction)
        found: Found | None = None
        num_queries, done = len(question.tau_Q), 0
        for shard, live_L in zip(self.shards, self.live, strict=True):
            prepared = self._prepare(shard, live_L)
            part = prepared.search(question, _moved(progress, done, num_queries * len(self)))
            found = part if found is None else merged([found, part], k)
            done += num_queries * len(prepared)
        if found is None:
            raise ValueError(f"{self.name}: the index holds no rows; add some first")
        return as_candidates(found, self._order[2], k)

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


def _moved(progress: Progress | None, done: int, in_all: int) -> Progress | None:
    """Progress of one shard as that of all."""
    if progress is None:
        return None
    return lambda now, _: progress(min(done + now, in_all), in_all)
