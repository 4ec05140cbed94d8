"""Files of an index that belong to no state: what a killed writer left, or an older state's."""

from __future__ import annotations

import re
from pathlib import Path

from asl_fast.indexes.folder.catalogue import NAME, Catalogue, newest
from asl_fast.indexes.folder.lock import FILE as LOCK
from asl_fast.indexes.folder.shard import ids_path, rows_path

_SHARD = re.compile(r"shard-\d{8,18}\.(rows|ids)")
_TEMPORARY = re.compile(r"\.(shard|catalogue)-\d{8,18}[-.].*\.tmp")


def leftovers(folder: Path, catalogue: Catalogue, current: str) -> list[Path]:
    """Files of ours that the state doesn't use. current: the name of its catalogue."""
    used = {current, current.replace(".sqlite", ".copy")}
    for entry in catalogue.shards:
        used |= {rows_path(folder, entry.number).name, ids_path(folder, entry.number).name}
    used.add(LOCK)
    return sorted(path for path in folder.iterdir() if path.name not in used and not is_others(path))


def is_others(path: Path) -> bool:
    """True for a file that no index has made."""
    return path.name != LOCK and not any(name.fullmatch(path.name) for name in (NAME, _SHARD, _TEMPORARY))


def remove_leftovers(folder: Path) -> None:
    """For the writer that holds the lock. Readers that have opened these files can go on reading them."""
    file = newest(folder)
    for path in leftovers(folder, file.load(), file.path.name):
        path.unlink(missing_ok=True)
