"""Tar shards in WebDataset's form, read by seeking. Nothing is unpacked, so no name in them can do harm."""

from __future__ import annotations

import itertools
import os
import re
import tarfile
from typing import BinaryIO, NamedTuple

from asl_fast.errors import InputError

SHARD_EXTENSIONS = (".tar",)
PACKED_EXTENSIONS = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
MEMBER_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp")
_MAX_SHARDS = 100_000
_BLOCK = 512
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class Member(NamedTuple):
    """An image inside a shard: its name there, and where its bytes lie in the tar file."""

    name: str
    offset: int
    num_bytes: int


def expand_braces(pattern: str, who: str) -> list[str]:
    """Names of `shard-{000..003}.tar` or `{train,val}.tar` in order, as a shell would list them."""
    pieces = _BRACES.split(pattern)  # text, choices, text, choices, ..., text
    if any("{" in text or "}" in text for text in pieces[::2]):
        raise InputError(
            f"{who}: braces must come in pairs and not inside one another; write {{000..003}} or {{a,b}}"
        )
    choices = [_choices(piece, who) if number % 2 else [piece] for number, piece in enumerate(pieces)]
    total = 1
    for choice in choices:
        total *= len(choice)
    if total > _MAX_SHARDS:
        raise InputError(
            f"{who}: names {total} shards, at most {_MAX_SHARDS} can be given at once; check the range"
        )
    return ["".join(parts) for parts in itertools.product(*choices)]


def _choices(inside: str, who: str) -> list[str]:
    found = _RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",")
    low, high = int(found[1]), int(found[2])
    if low > high or high - low >= _MAX_SHARDS:
        raise InputError(
            f"{who}: the range {{{inside}}} must go up and name at most {_MAX_SHARDS} shards; "
            "write {000..003}"
        )
    return [str(number).zfill(len(found[1])) for number in range(low, high + 1)]


def index_shard(path: str, who: str) -> list[Member]:
    """The images of one shard in their order there.

    A shard that is cut off or damaged is an InputError, found before any work starts: how many images are
    missing can't be known, and an answer that lacks them without a word would be wrong.
    """
    members: list[Member] = []
    try:
        with (
            open(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive,
        ):
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # tarfile would keep every header
                name = info.name.rpartition("/")[2]
                if not info.isreg() or name.startswith(".") or not name.lower().endswith(MEMBER_EXTENSIONS):
                    continue
                if info.issparse():
                    raise InputError(
                        f"{who}: member {info.name!r} is stored sparse; write the shard again without"
                    )
                members.append(Member(info.name, info.offset_data, info.size))
            _check_end(file, archive.offset, len(members), who)
    except tarfile.TarError as error:
        raise InputError(
            f"{who}: is not a whole tar file ({error}, after {len(members)} images); get or write it again"
        ) from error
    except OSError as error:
        raise InputError(f"{who}: can't be read ({error.strerror or error}); check the file") from error
    return members


def _check_end(file: BinaryIO, offset: int, num_members: int, who: str) -> None:
    """tarfile stops without a word at a damaged header, at a cut between members and at a second archive."""
    size = os.fstat(file.fileno()).st_size
    file.seek(offset)
    if size - offset < _BLOCK:
        raise InputError(f"{who}: is cut off after {num_members} images (no end mark); get or write it again")
    while block := file.read(1 << 20):
        if block.count(0) != len(block):
            raise InputError(
                f"{who}: is damaged or goes on after byte {offset} ({num_members} images before it); "
                "write it again (tar files joined by cat must be given one by one)"
            )
