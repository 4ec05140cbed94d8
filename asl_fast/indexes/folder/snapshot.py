"""One state of an index, to read: it stays what it is while others add, remove and compact.

Opening maps all files of the state. A writer never changes a file, it adds new ones and removes the names of
those that the new state has no use for; what is mapped stays readable, and its space is freed when the last
reader has closed. So readers take no lock and writers wait for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from asl_fast.indexes.folder.catalogue import Catalogue, newest
from asl_fast.indexes.folder.merge import planned_rows
from asl_fast.indexes.folder.sections import Damaged
from asl_fast.indexes.folder.shard import MAX_ROWS, Shard
from asl_fast.indexes.folder.texts import Texts
from asl_fast.indexes.parts import REMOVED, Part, Parts, PreparedPart, part_share
from asl_fast.indexes.searchable import Searchable
from asl_fast.kernels.ratio_search import PreparedRefs, Progress, Question
from asl_fast.records import Candidates, Embeddings, Pairs, norms

_SAMPLE = 64  # rows


class Snapshot(Searchable):
    """An open state. Rows are numbered in the order in which they were added, removed ones left out.

    device, num_threads, memory_budget: of the searches, as for Index. keep_prepared: keep what the engine
    makes of each shard between searches (fast) if the budget has room for all, or make it anew each time
    (memory for one shard only).
    InputError if the folder is no index, Damaged if its catalogue or a file's head is not what was written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: str = "cpu",
        num_threads: int | None = None,
        memory_budget: int | None = None,
        keep_prepared: bool = True,
    ) -> None:
        self.path = Path(path)
        self.name = os.fspath(path)
        self.catalogue, self.shards = opened(self.path)
        self._device, self._num_threads, self._keep = device, num_threads, keep_prepared
        self._share = part_share(memory_budget, device, self.num_dims, num_threads)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files."""
        self.__dict__.pop("_parts", None)  # what is prepared is in there
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
    def norms_fingerprint(self) -> str:
        """The model's, or "" where the norms aren't those of the rows: another network's were given.

        Seen at the first rows of each shard: two networks never agree to the bit.
        """
        for shard in self.shards:
            if not np.array_equal(norms(shard.row_ND[:_SAMPLE]), shard.norm_N[:_SAMPLE]):
                return ""
        return self.fingerprint

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
        """All rows in order of addition, their checksums checked. ValueError if there are none.

        The shards lie in another order, so this is a copy: in memory, or in a file that is made at `scratch`
        and mapped.
        """
        if scratch is None or len(self) == 0:
            row_LD = np.empty((len(self), self.num_dims), np.float32)
        else:
            row_LD = np.memmap(scratch, np.float32, "w+", shape=(len(self), self.num_dims))
        start = 0
        rows = [shard.checked_rows() for shard in self.shards]
        for block_BD in planned_rows(rows, self._order[:2], self.num_dims):
            row_LD[start : start + len(block_BD)] = block_BD
            start += len(block_BD)
        return Embeddings(
            ids=list(self.ids),
            row_ND=row_LD.view(np.ndarray),
            norm_N=self.norm_N,
            path_N=None if self.path_N is None else list(self.path_N),
            fingerprint=self.fingerprint,
            norms_fingerprint=self.norms_fingerprint,
            name=self.name,
        )

    def _nearest(self, question: Question, k: int, progress: Progress | None) -> Candidates:
        return self._parts.nearest(question, k, progress).candidates(self._row_of, k)

    def _best_pairs(
        self, question: Question, num_pairs: int, k: int | None, progress: Progress | None
    ) -> Pairs:
        best = self._parts.best_pairs(question, num_pairs, k, progress)
        return replace(best, ref_row_M=self._row_of(best.ref_row_M))

    def _pairs_above(
        self,
        question: Question,
        batch_pairs: int,
        progress: Progress | None,
        folder: str | os.PathLike[str] | None,
    ) -> Iterator[Pairs]:
        for batch in self._parts.pairs_above(question, batch_pairs, progress, folder):
            yield replace(batch, ref_row_M=self._row_of(batch.ref_row_M))

    def _row_of(self, sequence: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._order[2], sequence)

    @cached_property
    def _parts(self) -> Parts:
        """The shards, cut where the memory budget has no room for a whole one."""
        if len(self) == 0:
            raise ValueError(f"{self.name}: the index holds no rows; add some first")
        step = MAX_ROWS if self._share is None else self._share.num_rows
        parts = []
        for shard, live_L in zip(self.shards, self.live, strict=True):
            for start in range(0, len(shard), step):
                stop = min(start + step, len(shard))
                mine_L = live_L[slice(*np.searchsorted(live_L, [start, stop]))]
                prepare = partial(self._prepare, shard, slice(start, stop), mine_L)
                parts.append(Part(num_rows=len(mine_L), prepare=prepare))
        fits = self._share is None or sum(map(len, self.shards)) <= self._share.num_rows
        return Parts(parts, keep=self._keep and fits, share=self._share)

    def _prepare(self, shard: Shard, cut: slice, live_L: NDArray[np.int64]) -> PreparedPart:
        rank_N = np.full(cut.stop - cut.start, REMOVED)
        rank_N[live_L - cut.start] = shard.sequence_N[live_L]
        codes = shard.codes if self._device == "cpu" else None
        refs = PreparedRefs(
            shard.row_ND[cut],
            norm_N=shard.norm_N[cut],
            device=self._device,
            num_threads=self._num_threads,
            codes=None if codes is None else codes.part(cut),
            hit_bytes=None if self._share is None else self._share.hit_bytes,
        )
        return PreparedPart(refs=refs, rank_N=rank_N)

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
