"""Write to an index: make it, add, remove, compact. Each is one commit: the old state or the new one.

New shards are written and synced first, under names that no state has used, then a catalogue that names them
is renamed into place (catalogue.py). What a killed writer leaves behind belongs to no state, and the next
writer removes it. Writers exclude one another by a file lock; readers go on with the state that they opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.indexes.folder.catalogue import Catalogue, ShardEntry, commit, holds_index, newest
from asl_fast.indexes.folder.leftovers import is_others, remove_leftovers
from asl_fast.indexes.folder.lock import only_writer
from asl_fast.indexes.folder.merge import merged_plans, planned_columns, planned_rows
from asl_fast.indexes.folder.shard import MAX_ROWS, Columns, Shard, lookup_keys, norm_order, write_shard
from asl_fast.indexes.folder.snapshot import Snapshot
from asl_fast.indexes.folder.texts import encoded
from asl_fast.records import Embeddings

SHARD_ROWS = 1 << 22
MAX_SHARDS = 128  # every open shard holds two of a process's file descriptors
Dead = dict[int, NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class Added:
    """What an add did; num_replaced of the rows took the place of an older one. merged: small shards were."""

    num_rows: int
    num_replaced: int
    merged: bool


@dataclass(frozen=True, kw_only=True)
class Compacted:
    """What a compact did."""

    num_shards_before: int
    num_shards: int
    num_dropped: int


class IndexFolder:
    """The folder of an index. wait_seconds: for another writer to end, before InputError.

    shard_rows: the most rows of a shard, on which the memory of add and compact depends.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, wait_seconds: float = 0.0, shard_rows: int = SHARD_ROWS
    ) -> None:
        if not 1 <= shard_rows <= MAX_ROWS:
            raise InputError(f"--shard-rows must be from 1 to {MAX_ROWS}, got {shard_rows}")
        self.path = Path(path)
        self._wait_seconds = wait_seconds
        self._shard_rows = shard_rows

    @staticmethod
    def open(path: str | os.PathLike[str], **how: object) -> Snapshot:
        """The current state, to read and search; `how` as of Snapshot."""
        return Snapshot(path, **how)  # type: ignore[arg-type]

    def check_free(self) -> None:
        """InputError if `create` would refuse: there are rows, or files of others."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"{self.path} is a file; name a folder")
        if holds_index(self.path, begun=False):
            catalogue = newest(self.path).load()
            if catalogue.shards:
                raise InputError(
                    f"{self.path} is an index of {catalogue.num_rows} rows already; add to it with "
                    "`asl-fast index add`, or name another folder"
                )
        elif self.path.is_dir() and any(map(is_others, self.path.iterdir())):
            raise InputError(f"{self.path} holds other files; name a new or empty folder")

    def create(self, *, num_dims: int, fingerprint: str = "", model: str = "") -> None:
        """Make an empty index in a new or empty folder; an index that has no rows is made anew."""
        self.check_free()
        self.path.mkdir(parents=True, exist_ok=True)
        with only_writer(self.path, self._wait_seconds):
            self.check_free()
            was_index = holds_index(self.path, begun=False)
            state = Catalogue(
                generation=newest(self.path).generation + 1 if was_index else 1,
                num_dims=num_dims,
                fingerprint=fingerprint,
                model=model,
                created=datetime.now(UTC).isoformat(timespec="seconds"),
            )
            commit(self.path, state)
            remove_leftovers(self.path)

    def add(self, inputs: Iterable[Embeddings], *, replace_ids: bool = False) -> Added:
        """Add the rows of all inputs, or of none. Taken one by one, they need not fit memory together.

        replace_ids: rows of an id that is there take the place of the old one, and count as added now.
        InputError for other dimensions, rows of another model, ids that are there (or twice in the inputs).
        """
        with self._writing() as old:
            state = old.catalogue
            new: list[Shard] = []
            dead: dict[int, list[int]] = {}
            num_replaced = 0
            try:
                for embeddings in inputs:
                    state = _accepted(state, embeddings, self.path)
                    for start in range(0, len(embeddings), self._shard_rows):
                        part = slice(start, start + self._shard_rows)
                        raw_id_N = encoded(embeddings.ids[part])
                        there = _find(old, raw_id_N)
                        _check_new(embeddings, raw_id_N, [] if replace_ids else there, new, self.path)
                        num_replaced += len(there)
                        for number, row, _ in there:
                            dead.setdefault(number, []).append(row)
                        state = self._append(state, embeddings, part, raw_id_N, new)
            finally:
                for shard in new:
                    shard.close()
            state = without(state, dead)
            commit(self.path, replace(state, generation=state.generation + 1))
        merged = len(state.shards) > MAX_SHARDS and self.compact() is not None
        num_rows = state.next_sequence - old.catalogue.next_sequence
        return Added(num_rows=num_rows, num_replaced=num_replaced, merged=merged)

    def remove(self, ids: Sequence[str], *, missing_ok: bool = False) -> int:
        """Remove rows by id; return how many. InputError naming an id that isn't there, unless missing_ok."""
        with self._writing() as old:
            wanted = list(dict.fromkeys(ids))
            there = _find(old, encoded(wanted))
            if len(there) < len(wanted) and not missing_ok:
                found = {place for _, _, place in there}
                first = next(identity for place, identity in enumerate(wanted) if place not in found)
                raise InputError(
                    f"remove: id {first!r} is not in {self.path} ({len(wanted) - len(there)} of "
                    f"{len(wanted)} ids are not); nothing was removed, --missing-ok passes over them"
                )
            dead: dict[int, list[int]] = {}
            for number, row, _ in there:
                dead.setdefault(number, []).append(row)
            if dead:
                state = without(old.catalogue, dead)
                commit(self.path, replace(state, generation=state.generation + 1))
        return len(there)

    def compact(self) -> Compacted | None:
        """Merge shards below half of shard_rows, and all with removed rows; None if nothing is to be done.

        Damaged, and the index as it was, if what is to be copied isn't what was written.
        """
        with self._writing() as old:
            state = old.catalogue
            chosen = [
                place for place, shard in enumerate(old.shards)
                if 2 * len(old.live[place]) < self._shard_rows or shard.entry.number in state.dead
            ]  # fmt: skip
            shards, live = [old.shards[place] for place in chosen], [old.live[place] for place in chosen]
            num_dropped = sum(map(len, shards)) - sum(map(len, live))
            if len(chosen) < 2 and not num_dropped:
                return None
            numbers = {shard.entry.number for shard in shards}
            kept = tuple(entry for entry in state.shards if entry.number not in numbers)
            new: list[ShardEntry] = []
            rows = [shard.checked_rows() for shard in shards]
            for plan in merged_plans(shards, live, self._shard_rows):
                entry = write_shard(
                    self.path, state.next_shard + len(new), planned_columns(shards, plan),
                    planned_rows(rows, plan, state.num_dims), state.num_dims,
                    {"fingerprint": state.fingerprint},
                )  # fmt: skip
                new.append(entry)
            dead = {number: row_M for number, row_M in state.dead.items() if number not in numbers}
            changes = {"shards": (*kept, *new), "dead": dead, "next_shard": state.next_shard + len(new)}
            commit(self.path, replace(state, generation=state.generation + 1, **changes))  # type: ignore[arg-type]
        return Compacted(
            num_shards_before=len(state.shards), num_shards=len(kept) + len(new), num_dropped=num_dropped
        )

    def _append(
        self, state: Catalogue, embeddings: Embeddings, part: slice, raw_id_N: list[bytes], new: list[Shard]
    ) -> Catalogue:
        """Write rows as the next shard; return the state with it."""
        row_ND, norm_N = embeddings.row_ND[part], embeddings.norm_N[part]
        sequence_N = state.next_sequence + np.arange(len(row_ND))
        order_N = norm_order(norm_N, sequence_N)
        raw_path_N = None
        if embeddings.path_N is not None:
            raw = encoded(embeddings.path_N[part])
            raw_path_N = [raw[row] for row in order_N.tolist()]
        columns = Columns(
            norm_N=norm_N[order_N],
            sequence_N=sequence_N[order_N],
            raw_id_N=[raw_id_N[row] for row in order_N.tolist()],
            raw_path_N=raw_path_N,
        )
        plan = (np.zeros(len(order_N), np.intp), order_N)
        entry = write_shard(
            self.path, state.next_shard, columns, planned_rows([row_ND], plan, state.num_dims),
            state.num_dims, {"fingerprint": embeddings.fingerprint},
        )  # fmt: skip
        new.append(Shard(self.path, entry, state.num_dims))
        return replace(
            state,
            shards=(*state.shards, entry),
            next_shard=state.next_shard + 1,
            next_sequence=state.next_sequence + len(row_ND),
        )

    @contextmanager
    def _writing(self) -> Iterator[Snapshot]:
        """The current state, locked against other writers; leftovers are removed before and after."""
        newest(self.path)
        with only_writer(self.path, self._wait_seconds), Snapshot(self.path) as old:
            remove_leftovers(self.path)
            try:
                yield old
            finally:
                remove_leftovers(self.path)


def _accepted(state: Catalogue, embeddings: Embeddings, folder: Path) -> Catalogue:
    """The state that takes these rows; an index without rows takes up the model of the first."""
    if embeddings.num_dims != state.num_dims:
        raise InputError(
            f"add: {embeddings.name} has {embeddings.num_dims} columns but {folder} has {state.num_dims}; "
            "embed with the model of the index"
        )
    if not state.shards and not state.fingerprint:
        return replace(state, fingerprint=embeddings.fingerprint)
    if state.fingerprint and embeddings.fingerprint and embeddings.fingerprint != state.fingerprint:
        named = f" ({state.model})" if state.model else ""
        raise InputError(
            f"add: {embeddings.name} was embedded by model {embeddings.fingerprint[:12]} but {folder} by "
            f"{state.fingerprint[:12]}{named}; embed with that --model, or build another index"
        )
    return state


def _find(old: Snapshot, raw_M: Sequence[bytes]) -> list[tuple[int, int, int]]:
    """(shard's number, row, place in raw_M) of the rows that have these ids and are not removed."""
    key_M = lookup_keys(raw_M)
    found = []
    for shard, row_L in zip(old.shards, old.live, strict=True):
        is_live_N = np.zeros(len(shard), bool)
        is_live_N[row_L] = True
        found += [
            (shard.entry.number, row, place) for place, row in shard.find(raw_M, key_M) if is_live_N[row]
        ]
    return found


def _check_new(
    embeddings: Embeddings,
    raw_M: list[bytes],
    there: list[tuple[int, int, int]],
    new: Sequence[Shard],
    folder: Path,
) -> None:
    """InputError for ids that are in the index, or in an earlier input of the same add."""
    if there:
        first = raw_M[there[0][2]].decode(errors="replace")
        raise InputError(
            f"add: id {first!r} of {embeddings.name} is in {folder} already ({len(there)} such ids); nothing "
            "was added, --replace puts the new rows in the place of the old"
        )
    key_M = lookup_keys(raw_M)
    for shard in new:
        if again := shard.find(raw_M, key_M):
            first = raw_M[again[0][0]].decode(errors="replace")
            raise InputError(
                f"add: id {first!r} of {embeddings.name} stands in two of the inputs; nothing was added, "
                "rename one"
            )


def without(state: Catalogue, dead: Mapping[int, Sequence[int]]) -> Catalogue:
    """The state with more rows removed; a shard that has none left is left out."""
    merged: Dead = dict(state.dead)
    for number, rows in dead.items():
        merged[number] = np.union1d(merged.get(number, np.empty(0, np.int64)), rows).astype(np.int64)
    kept = tuple(entry for entry in state.shards if len(merged.get(entry.number, ())) < entry.num_rows)
    numbers = {entry.number for entry in kept}
    return replace(
        state, shards=kept, dead={number: rows for number, rows in merged.items() if number in numbers}
    )
