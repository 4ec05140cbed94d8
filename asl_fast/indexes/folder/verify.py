"""Read every byte of an index and compare it with its checksums."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asl_fast.errors import InputError
from asl_fast.indexes.folder.catalogue import Catalogue, CatalogueFile, ShardEntry, catalogue_files, newest
from asl_fast.indexes.folder.codes import are_of, read_codes
from asl_fast.indexes.folder.leftovers import leftovers
from asl_fast.indexes.folder.sections import Damaged, Section, SectionFile, place
from asl_fast.indexes.folder.shard import SMALL, block_rows, ids_path, rows_path

Progress = Callable[[int], object]


@dataclass(frozen=True, kw_only=True)
class Damage:
    """One thing that is not as it was written."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(kw_only=True)
class Verified:
    """What was checked and found. leftovers: files that belong to no state; no damage."""

    catalogue: Catalogue | None = None
    num_files: int = 0
    num_bytes: int = 0
    damages: list[Damage] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    def add(self, error: Damaged) -> None:
        self.damages.append(Damage(file=Path(error.file).name, what=error.what))


def verify(
    path: str | os.PathLike[str], *, num_threads: int | None = None, progress: Progress | None = None
) -> Verified:
    """Check catalogue, its copy, and each byte of every shard's files. progress(bytes) as they are checked.

    InputError if the folder is no index. It takes no lock: what a writer changes meanwhile is looked at anew.
    """
    folder = Path(path)
    while True:
        try:
            file = newest(folder)
        except Damaged as error:
            done = Verified(damages=[Damage(file=folder.name, what=error.what)])
            return _checked_without_catalogue(folder, done, num_threads, progress)
        done = Verified()
        files = _open_state(folder, file, done)
        if next((each for each in catalogue_files(folder) if each.is_main), None) == file:
            break
        for _, each in files:
            each.close()
    if done.catalogue is not None:
        done.leftovers = [each.name for each in leftovers(folder, done.catalogue, file.path.name)]
        _check_files([each for _, each in files], done, num_threads, progress)
        _check_shards(files, done, num_threads)
        return done
    return _checked_without_catalogue(folder, done, num_threads, progress)


def _open_state(folder: Path, main: CatalogueFile, done: Verified) -> list[tuple[ShardEntry, SectionFile]]:
    """Check both catalogues, open the files that they name, and note what can't be opened."""
    copy = next(
        (file for file in catalogue_files(folder) if not file.is_main and file.digest == main.digest), None
    )
    for file in (main, copy):
        if file is None:
            done.damages.append(Damage(file=f"{main.path.stem}.copy", what="the file is gone"))
            continue
        try:
            loaded = file.load()
            num_bytes = file.path.stat().st_size
        except Damaged as error:
            done.add(error)
        except FileNotFoundError:  # if a writer has replaced this state, `verify` looks at the new one
            done.damages.append(Damage(file=file.path.name, what="the file is gone"))
        else:
            done.catalogue = done.catalogue or loaded
            done.num_files += 1
            done.num_bytes += num_bytes
    opened = []
    for entry in done.catalogue.shards if done.catalogue else ():
        for path, digest in shard_files(folder, entry):
            try:
                opened.append((entry, SectionFile(path, digest=digest)))
            except Damaged as error:
                done.add(error)
            except FileNotFoundError:
                done.damages.append(Damage(file=path.name, what="the file is gone"))
    return opened


def shard_files(folder: Path, entry: ShardEntry) -> list[tuple[Path, str]]:
    """Paths of a shard's files with their digests."""
    return [
        (rows_path(folder, entry.number), entry.rows_digest),
        (ids_path(folder, entry.number), entry.ids_digest),
    ]


def _checked_without_catalogue(
    folder: Path, done: Verified, num_threads: int | None, progress: Progress | None
) -> Verified:
    """Each shard's file by itself: by its own head."""
    files = []
    for path in sorted([*folder.glob("shard-*.rows"), *folder.glob("shard-*.ids")]):
        try:
            files.append(SectionFile(path))
        except (Damaged, InputError) as error:
            what = error.what if isinstance(error, Damaged) else str(error)
            done.damages.append(Damage(file=path.name, what=what))
    _check_files(files, done, num_threads, progress)
    return done


def _check_files(
    files: list[SectionFile], done: Verified, num_threads: int | None, progress: Progress | None
) -> None:
    """Every block of every section, in several threads."""
    blocks = (
        (file, section, block)
        for file in files
        for section in file.head.sections.values()
        for block in range(len(section.crc_B))
    )

    def check(which: tuple[SectionFile, Section, int]) -> Damage | None:
        file, section, block = which
        sound = file.block_is_sound(section, block)
        if progress is not None:
            progress(min(1 << 20, section.padded))
        what = f"section {section.name}, {place(section, block)}: checksum differs"
        return None if sound else Damage(file=file.path.name, what=what)

    threads = num_threads or os.cpu_count() or 1
    if threads == 1:
        damages = list(map(check, blocks))
    else:
        with ThreadPoolExecutor(threads) as pool:
            damages = list(pool.map(check, blocks))
    done.damages += [damage for damage in damages if damage is not None]
    done.num_files += len(files)
    done.num_bytes += sum(file.head.size for file in files)


def _check_shards(
    files: list[tuple[ShardEntry, SectionFile]], done: Verified, num_threads: int | None
) -> None:
    """Where the bytes are sound: do the two files of a shard, its order and the catalogue agree?"""
    hurt = {damage.file for damage in done.damages}
    pairs: dict[int, list[SectionFile]] = {}
    entries = {}
    for entry, file in files:
        if file.path.name not in hurt:
            pairs.setdefault(entry.number, []).append(file)
            entries[entry.number] = entry
    for number, pair in pairs.items():
        if len(pair) == 2:
            try:
                done.damages += [
                    Damage(file=pair[0].path.name, what=what)
                    for what in _disagreements(entries[number], pair[0], pair[1], num_threads)
                ]
            except Damaged as error:
                done.add(error)


def _disagreements(
    entry: ShardEntry, rows: SectionFile, ids: SectionFile, num_threads: int | None
) -> Iterator[str]:
    for name in SMALL:
        mine, other = rows.head.sections.get(name), ids.head.sections.get(name)
        if (mine is None) != (other is None):
            yield f"section {name} is missing in one of the shard's two files"
        elif mine is not None and other is not None and not np.array_equal(mine.crc_B, other.crc_B):
            yield f"section {name} differs between the shard's two files"
    norm_N = rows.read("norm", "<f8", (entry.num_rows,))
    if (np.diff(norm_N) > 0).any():
        yield "the rows are not sorted by norm"
    if (norm_N[0], norm_N[-1]) != (entry.max_norm, entry.min_norm):
        yield "the norms are not those in the catalogue"
    if bytes(ids.map("rows_head")) != rows.head.raw:
        yield "the .ids file belongs to another .rows file"
    num_dims = int(rows.head.about["num_dims"])
    codes = read_codes(rows, entry.num_rows, num_dims)
    step = block_rows(num_dims)
    row_ND = rows.map("rows")
    blocks = (row_ND[start : start + step] for start in range(0, len(row_ND), step))
    if codes and not are_of(codes, blocks, num_threads):
        yield "the codes are not those of the rows"
