"""The catalogue: which shards and which of their rows make up the index, as a small SQLite file.

    catalogue-00000042-<sha256>.sqlite    the state after the 42nd commit, never changed afterwards
    catalogue-00000042-<sha256>.copy      the same bytes, for `repair`

Every commit writes a whole new file, made in memory, under a temporary name, synced and renamed: that rename
is the commit, so a killed writer leaves the old state or the new one, and readers never meet a journal or a
lock of SQLite. The file's digest is in its name, so any flipped or missing byte, in unused parts of a page
too, is found on opening. Ids don't stand in here but in the shards, with a sorted table to look them up: so
the catalogue stays small, and a commit costs the same for a thousand rows and for a billion.
"""

from __future__ import annotations

import hashlib
import math
import re
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError
from asl_fast.files import replacing
from asl_fast.indexes.folder.sections import Damaged

FORMAT, MAJOR, MINOR = "asl_fast index", 1, 0
NAME = re.compile(r"catalogue-(\d{8,18})-([0-9a-f]{64})\.(sqlite|copy)")
SCHEMA = {
    "about": "CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "shards": (
        "CREATE TABLE shards (number INTEGER PRIMARY KEY, num_rows INTEGER, min_norm REAL, max_norm REAL, "
        "num_bytes INTEGER, rows_digest TEXT, ids_digest TEXT)"
    ),
    "tombstones": (
        "CREATE TABLE tombstones (shard INTEGER, row INTEGER, PRIMARY KEY (shard, row)) WITHOUT ROWID"
    ),
}
_TEXTS, _NUMBERS = ("fingerprint", "model", "created"), ("num_dims", "next_shard", "next_sequence")
_LOOKS, _LOOK_AGAIN_SECONDS = 10, 0.02


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """What the catalogue says of one shard. num_bytes: of both its files."""

    number: int
    num_rows: int
    min_norm: float
    max_norm: float
    num_bytes: int
    rows_digest: str
    ids_digest: str


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """One state of an index. dead: sorted rows of a shard that are removed, by the shard's number."""

    generation: int
    num_dims: int
    fingerprint: str = ""
    model: str = ""
    created: str = ""
    next_shard: int = 1
    next_sequence: int = 0
    shards: tuple[ShardEntry, ...] = ()
    dead: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def num_tombstones(self) -> int:
        return sum(map(len, self.dead.values()))

    @property
    def num_rows(self) -> int:
        return sum(shard.num_rows for shard in self.shards) - self.num_tombstones


def to_bytes(catalogue: Catalogue) -> bytes:
    """The SQLite file."""
    database = sqlite3.connect(":memory:")
    try:
        database.execute("PRAGMA page_size = 1024")
        for create in SCHEMA.values():
            database.execute(create)
        about = {"format": FORMAT, "major": MAJOR, "minor": MINOR, "generation": catalogue.generation}
        about |= {name: getattr(catalogue, name) for name in (*_TEXTS, *_NUMBERS)}
        database.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        database.executemany(
            "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?)",
            [tuple(vars(shard).values()) for shard in catalogue.shards],
        )
        for number, row_M in catalogue.dead.items():
            database.executemany(
                "INSERT INTO tombstones VALUES (?, ?)", ((number, row) for row in row_M.tolist())
            )
        database.commit()
        return database.serialize()
    finally:
        database.close()


def from_bytes(data: bytes, who: str) -> Catalogue:
    """Read and check. Damaged if this is not a catalogue, InputError for one of a newer format."""
    database = sqlite3.connect(":memory:")
    try:
        database.deserialize(data)
        database.execute("PRAGMA trusted_schema = OFF")
        return _read(database, who)
    except (sqlite3.Error, ValueError, TypeError, KeyError, OverflowError, UnicodeError) as error:
        raise Damaged(who, f"it is not a catalogue of an index ({error})") from None
    finally:
        database.close()


def _read(database: sqlite3.Connection, who: str) -> Catalogue:
    tables = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    if tables.get("about") != SCHEMA["about"]:
        raise ValueError("no table `about`")
    about = dict(database.execute("SELECT name, value FROM about"))
    if about["format"] != FORMAT:
        raise ValueError("another format")
    if about["major"] != MAJOR:
        raise InputError(
            f"{who} is of format {about['major']}.{about['minor']}, this version reads {MAJOR}.x; "
            "update asl_fast"
        )
    if any(tables.get(name) != sql for name, sql in SCHEMA.items()):
        raise ValueError("another schema")
    shards = tuple(_shard(*cells) for cells in database.execute("SELECT * FROM shards ORDER BY number"))
    dead: dict[int, list[int]] = {}
    for number, row in database.execute("SELECT shard, row FROM tombstones ORDER BY shard, row"):
        dead.setdefault(_whole(number), []).append(_whole(row))
    num_rows = {shard.number: shard.num_rows for shard in shards}
    for number, rows in dead.items():
        if number not in num_rows or rows[-1] >= num_rows[number]:
            raise ValueError(f"a removed row of shard {number} is not there")
    return Catalogue(
        generation=_whole(about["generation"]),
        shards=shards,
        dead={number: np.array(rows, np.int64) for number, rows in dead.items()},
        **{name: _text(about[name]) for name in _TEXTS},  # type: ignore[arg-type]
        **{name: _whole(about[name], 1 if name == "num_dims" else 0) for name in _NUMBERS},  # type: ignore[arg-type]
    )


def _shard(
    number: Any,
    num_rows: Any,
    min_norm: Any,
    max_norm: Any,
    num_bytes: Any,
    rows_digest: Any,
    ids_digest: Any,
) -> ShardEntry:
    if not (type(min_norm) is type(max_norm) is float and 0 < min_norm <= max_norm < math.inf):
        raise ValueError(f"norms of shard {number}")
    return ShardEntry(
        number=_whole(number), num_rows=_whole(num_rows, 1), min_norm=min_norm, max_norm=max_norm,
        num_bytes=_whole(num_bytes), rows_digest=_text(rows_digest), ids_digest=_text(ids_digest),
    )  # fmt: skip


def _whole(value: Any, least: int = 0) -> int:
    if type(value) is not int or value < least:
        raise ValueError(f"{value!r} should be a whole number from {least}")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} should be a text")
    return value


@dataclass(frozen=True, kw_only=True, order=True)
class CatalogueFile:
    """A catalogue on disk, sound or not; the newest is the largest, and a main file larger than its copy."""

    generation: int
    is_main: bool
    digest: str
    path: Path

    def load(self) -> Catalogue:
        """Damaged if the bytes are not those of the name."""
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise Damaged(self.path, "its bytes are not those that its name stands for")
        catalogue = from_bytes(data, str(self.path))
        if catalogue.generation != self.generation:
            raise Damaged(self.path, f"it holds generation {catalogue.generation}, its name says otherwise")
        return catalogue


def catalogue_files(folder: Path) -> list[CatalogueFile]:
    """Newest first."""
    found = []
    for path in folder.iterdir():
        if match := NAME.fullmatch(path.name):
            number, digest, ending = match.groups()
            found.append(
                CatalogueFile(generation=int(number), is_main=ending == "sqlite", digest=digest, path=path)
            )
    return sorted(found, reverse=True)


def holds_index(path: Path, *, begun: bool = True) -> bool:
    """True for a folder that is an index, or its remains; begun: or what a killed build began."""
    if not path.is_dir():
        return False
    catalogued = any(file.is_main or begun for file in catalogue_files(path))
    return catalogued or any(path.glob("shard-*.rows")) or any(path.glob("shard-*.ids"))


def newest(folder: Path) -> CatalogueFile:
    """The current catalogue. InputError if this is no index, Damaged if one has lost its catalogue."""
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}; `asl-fast index build` makes an index")
    for _ in range(_LOOKS):  # a listing made while a writer renames may miss both the old and the new name
        if main := next((file for file in catalogue_files(folder) if file.is_main), None):
            return main
        if not holds_index(folder):
            break
        time.sleep(_LOOK_AGAIN_SECONDS)
    if holds_index(folder):
        raise Damaged(folder, "the catalogue is gone")
    raise InputError(f"{folder} is not an index; `asl-fast index build` makes one")


def commit(folder: Path, catalogue: Catalogue) -> None:
    """Make this the current state; whatever it names must be on disk already."""
    data = to_bytes(catalogue)
    stem = f"catalogue-{catalogue.generation:08d}-{hashlib.sha256(data).hexdigest()}"
    for ending in ("copy", "sqlite"):  # the second rename is the commit
        with replacing(folder / f"{stem}.{ending}") as temporary:
            temporary.write_bytes(data)
