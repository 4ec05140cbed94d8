"""A file of named, typed, checksummed arrays ("sections"), written once and never changed.

    head      64 bytes: magic, major, minor, file size, table size, SHA-256 of those numbers and the table
    table     JSON: a few words about the file, then name, type, shape, size and checksums of each section;
              padded with spaces
    sections  each from a multiple of 64 bytes on, padded with zero bytes

Every byte is covered: head and table by the SHA-256, which is the file's digest and stands in the catalogue
too; sections with their padding by a CRC-32 of each MiB, so that damage is found (any single bit, any burst
up to 32 bits for certain) and has a place. Sections of unknown name or type are skipped, so a later minor
version may add some. Sizes and places are held against the file's size before anything is mapped.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asl_fast.errors import InputError

MAGIC, MAJOR, MINOR = b"\x89aslsec\n", 1, 1  # 1.1: codes
ALIGNMENT, BLOCK_BYTES = 64, 1 << 20
TYPES = ("<f2", "<f4", "<f8", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8")
HEAD = struct.Struct("<8sIIQQ32s")
SUMMED = HEAD.size - 32  # bytes of the head that its SHA-256 covers
_MAX_TABLE_BYTES = 1 << 30


class Damaged(InputError):
    """A file of an index isn't what was written."""

    def __init__(self, file: str | os.PathLike[str], what: str) -> None:
        self.file, self.what = os.fspath(file), what
        super().__init__(
            f"{self.file} is damaged: {what}; `asl-fast index verify` lists all damage, "
            "`asl-fast index repair` keeps what is sound"
        )


@dataclass(frozen=True, kw_only=True)
class Section:
    """One array's place. dtype is None where this version doesn't know the type."""

    name: str
    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]
    offset: int
    size: int
    crc_B: NDArray[np.uint32]

    @property
    def padded(self) -> int:
        return padded(self.size)


@dataclass(frozen=True, kw_only=True)
class Head:
    """Head and table of a file. raw: their bytes."""

    raw: bytes
    digest: str
    size: int
    about: Mapping[str, Any]
    sections: Mapping[str, Section]


def parse_head(raw: bytes, who: str | os.PathLike[str]) -> Head:
    """Check head and table; Damaged where they aren't whole, InputError for a newer format."""
    if len(raw) < HEAD.size:
        raise Damaged(who, f"it has {len(raw)} bytes, the head alone has {HEAD.size}")
    magic, major, minor, size, table_size, digest = HEAD.unpack_from(raw)
    table = raw[HEAD.size : HEAD.size + table_size]
    if magic != MAGIC or len(table) != table_size or hashlib.sha256(raw[:SUMMED] + table).digest() != digest:
        raise Damaged(who, "the head or the table of sections is not what was written")
    if major != MAJOR:
        raise InputError(
            f"{os.fspath(who)} is of format {major}.{minor}, this version reads {MAJOR}.x; update asl_fast"
        )
    try:
        fields = json.loads(table)
        sections = _parse_sections(fields["sections"], HEAD.size + table_size, size)
        about = fields["about"]
        if not isinstance(about, dict):
            raise ValueError("`about` is no object")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Damaged(who, f"the table of sections makes no sense ({error})") from None
    whole = raw[: HEAD.size + table_size]
    return Head(raw=whole, digest=digest.hex(), size=size, about=about, sections=sections)


class SectionFile:
    """An open file: it can be read until `close`, even if its name is removed meanwhile.

    digest: what the head's SHA-256 must be. head: for a file whose own is damaged. whole=False: the file may
    be too short or too long; then it mustn't be mapped, only read block by block.
    Damaged if head, table or size aren't right; FileNotFoundError if there is no such file.
    """

    def __init__(
        self, path: Path, *, digest: str | None = None, head: Head | None = None, whole: bool = True
    ) -> None:
        self.path = path
        self._map: mmap.mmap | None = None
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self.head = head if head is not None else self._read_head()
            num_bytes = os.fstat(self._file).st_size
            if whole and self.head.size != num_bytes:
                raise Damaged(path, f"it has {num_bytes} bytes, {self.head.size} were written")
            if digest is not None and self.head.digest != digest:
                raise Damaged(path, "it is not the file that the catalogue names (another digest)")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; arrays taken from it keep its map alive."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self._map = -1, None

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()

    def map(self, name: str) -> NDArray[Any]:
        """The section as it lies in the file, not read and not checked."""
        section = self.section(name)
        if section.dtype is None:
            raise Damaged(self.path, f"section {name} has a type that this version doesn't know")
        if self._map is None:
            self._map = mmap.mmap(self._file, 0, prot=mmap.PROT_READ)  # has a descriptor of its own
            os.close(self._file)
            self._file = -1
        part = np.frombuffer(self._map, np.uint8, section.size, section.offset)
        return part.view(section.dtype).reshape(section.shape)

    def read(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """The section, mapped, its checksums checked. Damaged if they, the type or the shape differ."""
        self.expect(name, dtype, shape)
        section = self.section(name)
        array = self.map(name)
        for block, sound in enumerate(self._soundness(section)):
            if not sound:
                raise Damaged(self.path, f"section {name}, {place(section, block)}: checksum differs")
        return array

    def _soundness(self, section: Section) -> Iterator[bool]:
        """block_is_sound of every block; what was read for it doesn't stay in memory."""
        blocks = range(len(section.crc_B))

        def check(block: int) -> bool:
            sound = self.block_is_sound(section, block)
            self._give_back(section.offset + block * BLOCK_BYTES)
            return sound

        if len(blocks) < 2:
            yield from map(check, blocks)
        else:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                yield from pool.map(check, blocks)

    def _give_back(self, start: int) -> None:
        """Let go of the pages of a block: they are the file's, and are read again when they are asked for."""
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            first = start // mmap.PAGESIZE * mmap.PAGESIZE
            stop = min(start + BLOCK_BYTES, len(self._map))
            self._map.madvise(mmap.MADV_DONTNEED, first, stop - first)

    def expect(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        """Damaged unless the section has this type and shape; -1 stands for any length."""
        section = self.section(name)
        fits = len(section.shape) == len(shape) and all(
            wanted in (-1, there) for wanted, there in zip(shape, section.shape, strict=True)
        )
        if section.dtype != np.dtype(dtype) or not fits:
            raise Damaged(
                self.path, f"section {name} is {section.dtype} {section.shape}, not {dtype} {shape}"
            )

    def section(self, name: str) -> Section:
        if name not in self.head.sections:
            raise Damaged(self.path, f"it has no section {name}")
        return self.head.sections[name]

    def block_is_sound(self, section: Section, block: int) -> bool:
        """False if the block differs from its checksum, is cut off or can't be read from the disk."""
        start = section.offset + block * BLOCK_BYTES
        stop = min(start + BLOCK_BYTES, section.offset + section.padded)
        data = self.bytes_at(start, stop)
        return len(data) == stop - start and zlib.crc32(data) == section.crc_B[block]

    def bytes_at(self, start: int, stop: int) -> bytes | memoryview:
        """Bytes of the file; fewer where it is cut off, none where the disk doesn't give them back."""
        if self._map is not None:
            return memoryview(self._map)[start:stop]
        try:
            return os.pread(self._file, stop - start, start)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return b""

    def _read_head(self) -> Head:
        raw = os.pread(self._file, HEAD.size, 0)
        if len(raw) == HEAD.size:
            table_size = min(HEAD.unpack(raw)[4], _MAX_TABLE_BYTES, os.fstat(self._file).st_size)
            raw += os.pread(self._file, table_size, HEAD.size)
        return parse_head(raw, self.path)


def place(section: Section, block: int) -> str:
    """Where a block lies, for a message."""
    start = section.offset + block * BLOCK_BYTES
    stop = min(start + BLOCK_BYTES, section.offset + section.padded)
    return f"block {block} (bytes {start} to {stop - 1})"


def _parse_sections(entries: Any, start: int, file_size: int) -> dict[str, Section]:
    """Sections one after the other from `start` to the end of the file. ValueError for anything else."""
    sections: dict[str, Section] = {}
    end = start
    for entry in entries:
        name, size, shape = entry["name"], entry["size"], tuple(entry["shape"])
        numbers = (size, *shape)
        if any(type(number) is not int or not 0 <= number < 1 << 62 for number in numbers):
            raise ValueError("a size is no whole number")
        if not isinstance(name, str) or name in sections:
            raise ValueError(f"section {name!r} stands twice")
        if end % ALIGNMENT or end + padded(size) > file_size:
            raise ValueError(f"section {name!r} does not fit the file")
        dtype = np.dtype(entry["type"]) if entry["type"] in TYPES else None
        length = dtype.itemsize if dtype is not None else 0
        for number in shape:
            length *= number
        if dtype is not None and length != size:
            raise ValueError(f"section {name!r} has {size} bytes, its shape needs {length}")
        crc_B = np.frombuffer(bytes.fromhex(entry["crc32"]), ">u4").astype(np.uint32)
        if len(crc_B) != num_blocks(size):
            raise ValueError(f"section {name!r} has {len(crc_B)} checksums, not {num_blocks(size)}")
        sections[name] = Section(name=name, dtype=dtype, shape=shape, offset=end, size=size, crc_B=crc_B)
        end += padded(size)
    if end != file_size:
        raise ValueError(f"the sections end at byte {end}, the file at {file_size}")
    return sections


def padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def num_blocks(size: int) -> int:
    return -(-padded(size) // BLOCK_BYTES)
