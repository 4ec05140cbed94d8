"""Keep what is sound, say what is lost, and make the index whole again.

A damaged shard is written anew, under a new number, from the rows whose bytes match their checksums; the
small columns stand in both of a shard's files, so damage to one costs no row. A damaged catalogue is replaced
by its copy; if both are gone, by what the shards say of themselves: then rows that were removed since the
last compact are back, for only the catalogue knew of that.
"""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.indexes.folder.catalogue import (
    Catalogue,
    ShardEntry,
    catalogue_files,
    commit,
    holds_index,
    newest,
)
from asl_fast.indexes.folder.leftovers import remove_leftovers
from asl_fast.indexes.folder.lock import only_writer
from asl_fast.indexes.folder.salvage import Salvaged, salvage
from asl_fast.indexes.folder.sections import Damaged, SectionFile
from asl_fast.indexes.folder.shard import Columns, Shard, ids_path, rows_path, write_shard
from asl_fast.indexes.folder.store import without
from asl_fast.indexes.folder.texts import CODING
from asl_fast.indexes.folder.verify import verify

COLUMNS = ("id", "shard", "row", "reason")
_FILE = re.compile(r"shard-(\d{8,18})\.(?:rows|ids)")
Lost = tuple[str, int, int, str]


@dataclass(kw_only=True)
class Repaired:
    """What a repair did. lost: (id, shard, row, reason) of each lost row; id "" if that is lost too."""

    num_rows: int = 0
    lost: list[Lost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost_path: Path | None = None


def repair(
    path: str | os.PathLike[str],
    *,
    lost_path: str | os.PathLike[str] | None = None,
    wait_seconds: float = 0.0,
    num_threads: int | None = None,
) -> Repaired:
    """Mend the index; add what is lost to the CSV at lost_path (default: lost.csv in the folder)."""
    folder = Path(path)
    done = Repaired()
    if not holds_index(folder):
        newest(folder)
    with only_writer(folder, wait_seconds):
        state = _best_catalogue(folder, done)
        if state is not None:
            found = verify(folder, num_threads=num_threads)
            if not found.damages:
                done.num_rows = state.num_rows
                remove_leftovers(folder)
                return done
            hurt = {int(match[1]) for damage in found.damages if (match := _FILE.fullmatch(damage.file))}
            for entry in state.shards:
                if entry.number in hurt:
                    state = _mended(folder, state, entry, done)
        else:
            state = _from_shards(folder, done)
        state = replace(state, generation=state.generation + 1)
        done.num_rows = state.num_rows
        if done.lost:
            done.lost_path = Path(lost_path) if lost_path is not None else folder / "lost.csv"
            _write_lost(done.lost_path, done.lost)
        commit(folder, state)
        remove_leftovers(folder)
    return done


def _best_catalogue(folder: Path, done: Repaired) -> Catalogue | None:
    """The catalogue in use if it is sound, else its copy. An older one's shards may be gone."""
    files = catalogue_files(folder)
    mains = [file.generation for file in files if file.is_main]
    for file in files:
        if mains and file.generation != max(mains):
            continue
        try:
            state = file.load()
        except Damaged as error:
            done.notes.append(f"{file.path.name}: {error.what}")
            continue
        if not file.is_main:
            done.notes.append(f"{file.path.name} takes the place of the catalogue; no row is lost by that")
            with replacing(file.path.with_suffix(".sqlite")) as temporary:
                temporary.write_bytes(file.path.read_bytes())
        return state
    done.notes.append(
        "the catalogue and its copy are gone; it was made anew from the shards: rows that were removed "
        "since the last compact may be back"
    )
    return None


def _from_shards(folder: Path, done: Repaired) -> Catalogue:
    """A catalogue of all shard files, as they say of themselves; of one id, the last added row counts."""
    matches = [_FILE.fullmatch(path.name) for path in folder.iterdir()]
    numbers = sorted({int(match[1]) for match in matches if match})
    known = [file.generation for file in catalogue_files(folder)]
    state: Catalogue | None = None
    for number in numbers:
        found = salvage(folder, number, None, None)
        if found is None or (state is not None and found.num_dims != state.num_dims):
            done.notes.append(
                f"shard {number}: neither of its files says what it holds, so all its rows are lost"
            )
            continue
        if state is None:
            state = Catalogue(
                generation=max(known, default=0), num_dims=found.num_dims, fingerprint=found.fingerprint,
                next_shard=max(numbers) + 1,
            )  # fmt: skip
        entry = _entry(folder, number, found.num_dims)
        if entry is not None:
            state = replace(state, shards=(*state.shards, entry))
        else:
            blank = ShardEntry(
                number=number, num_rows=len(found.lost_N), min_norm=1.0, max_norm=1.0, num_bytes=0,
                rows_digest="", ids_digest="",
            )  # fmt: skip
            state = _mended(folder, state, blank, done)
    if state is None:
        raise InputError(f"{folder}: nothing is left that could be repaired; build the index anew")
    return _without_older(folder, state)


def _entry(folder: Path, number: int, num_dims: int) -> ShardEntry | None:
    """What the catalogue would say of a shard, if both its files are sound."""
    try:
        files = [SectionFile(rows_path(folder, number)), SectionFile(ids_path(folder, number))]
        norm_N = files[0].read("norm", "<f8", (-1,))
        files[0].expect("rows", "<f4", (len(norm_N), num_dims))
        for file in files:
            for section in file.head.sections.values():
                if not all(file.block_is_sound(section, block) for block in range(len(section.crc_B))):
                    return None
    except (InputError, FileNotFoundError):
        return None
    return ShardEntry(
        number=number, num_rows=len(norm_N), min_norm=float(norm_N[-1]), max_norm=float(norm_N[0]),
        num_bytes=sum(file.head.size for file in files),
        rows_digest=files[0].head.digest, ids_digest=files[1].head.digest,
    )  # fmt: skip


def _without_older(folder: Path, state: Catalogue) -> Catalogue:
    """Remove all but the last added row of each id, and set what the next add counts from."""
    last: dict[bytes, tuple[int, int, int]] = {}
    dead: dict[int, list[int]] = {}
    for entry in state.shards:
        shard = Shard(folder, entry, state.num_dims)
        for row, sequence in enumerate(shard.sequence_N.tolist()):
            mine = (sequence, entry.number, row)
            older = min(mine, last.setdefault(shard.id_N.raw(row), mine))
            last[shard.id_N.raw(row)] = max(mine, last[shard.id_N.raw(row)])
            if older != mine or last[shard.id_N.raw(row)] != mine:
                dead.setdefault(older[1], []).append(older[2])
        shard.close()
    next_sequence = 1 + max((sequence for sequence, _, _ in last.values()), default=-1)
    return replace(without(state, dead), next_sequence=next_sequence)


def _mended(folder: Path, state: Catalogue, entry: ShardEntry, done: Repaired) -> Catalogue:
    """The state with one shard written anew, or left out if no row is sound."""
    dead_M = state.dead.get(entry.number, np.empty(0, np.int64))
    found = salvage(folder, entry.number, entry.rows_digest or None, entry.ids_digest or None)
    others = tuple(each for each in state.shards if each.number != entry.number)
    dead = {number: row_M for number, row_M in state.dead.items() if number != entry.number}
    if found is None:
        reason = "both files of the shard are damaged from the start"
        done.lost += [("", entry.number, row, reason) for row in range(entry.num_rows - len(dead_M))]
        return replace(state, shards=others, dead=dead)
    keep_N = ~found.lost_N
    keep_N[dead_M] = False
    lost_N = found.lost_N.copy()
    lost_N[dead_M] = False
    for row in np.flatnonzero(lost_N).tolist():
        name = found.columns.raw_id_N[row].decode(*CODING) if found.named_N[row] else ""
        reason = "its bytes are damaged" if name else "its bytes and its id are damaged"
        done.lost.append((name, entry.number, row, reason))
    if found.num_paths_lost:
        done.notes.append(f"shard {entry.number}: {found.num_paths_lost} rows are kept without their path")
    if not keep_N.any():
        return replace(state, shards=others, dead=dead)
    return _rewritten(folder, replace(state, shards=others, dead=dead), entry, found, keep_N, done)


def _rewritten(
    folder: Path,
    state: Catalogue,
    entry: ShardEntry,
    found: Salvaged,
    keep_N: NDArray[np.bool_],
    done: Repaired,
) -> Catalogue:
    columns = found.columns
    rows = np.flatnonzero(keep_N).tolist()
    raw_path_N = columns.raw_path_N
    kept = Columns(
        norm_N=columns.norm_N[keep_N],
        sequence_N=columns.sequence_N[keep_N],
        raw_id_N=[columns.raw_id_N[row] for row in rows],
        raw_path_N=None if raw_path_N is None else [raw_path_N[row] for row in rows],
    )
    new = write_shard(
        folder, state.next_shard, kept, found.rows(keep_N), found.num_dims, {"fingerprint": found.fingerprint}
    )
    done.notes.append(f"shard {entry.number}: {len(rows)} rows are kept, as shard {new.number}")
    shards = tuple(sorted((*state.shards, new), key=lambda each: each.number))
    return replace(state, shards=shards, next_shard=state.next_shard + 1)


def _write_lost(path: Path, lost: list[Lost]) -> None:
    """Add to the list; what an earlier repair lost stays in it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    before = path.read_bytes() if path.exists() else b""
    if not before:
        writer.writerow(COLUMNS)
    writer.writerows(lost)
    with replacing(path) as temporary:
        temporary.write_bytes(before + text.getvalue().encode("utf-8", "backslashreplace"))
