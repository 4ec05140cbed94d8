"""A folder, a list, a table, shards or one picture -> ImageFiles, each with an id of its own."""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from asl_fast.errors import InputError
from asl_fast.images.decode import sniff
from asl_fast.images.lists import Row, read_csv, read_list, read_parquet
from asl_fast.images.shards import PACKED_EXTENSIONS, SHARD_EXTENSIONS, expand_braces, index_shard

IMAGE_EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".ppm", ".pgm", ".pbm", ".pnm"),
)
MAX_FILE_BYTES = 1 << 30  # a file is read whole; nothing that decodes within the pixel limit comes near this


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where one picture lies. id: printable, on one line. path: as the system knows it.

    member: name inside the tar shard `path`, whose bytes lie at offset .. offset + num_bytes.
    """

    id: str
    path: str
    member: str | None = None
    offset: int = 0
    num_bytes: int = 0

    @property
    def shown_path(self) -> str:
        """Path to print or to write into a table: one line of valid text; shard/member for a member."""
        return printable(self.path if self.member is None else f"{self.path}/{self.member}")

    def read(self) -> bytes:
        """The file's bytes. OSError if there is no such file, or it is no regular file, or above 1 GiB."""
        if "\0" in self.path:
            raise OSError(errno.EINVAL, "the name holds a zero byte")
        with open(self.path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            wanted = status.st_size if self.member is None else self.num_bytes
            if wanted > MAX_FILE_BYTES:
                raise OSError(errno.EFBIG, f"{wanted} bytes, above the limit of {MAX_FILE_BYTES}")
            file.seek(self.offset)
            data = file.read(wanted)
        if self.member is not None and len(data) != wanted:
            raise OSError(errno.EIO, "the shard has become shorter since it was listed")
        return data


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(
        path, flags | getattr(os, "O_NONBLOCK", 0)
    )  # a named pipe would wait for a writer for ever


def find_images(
    source: str | os.PathLike[str], *, ids: str = "stem", argument: str = "--images"
) -> list[ImageFile]:
    """Every picture of a source, in an order that is the same on every machine.

    source: a folder (with its subfolders; hidden files and other kinds of file are left out), one picture,
    a .txt list (one path a line), a .csv or .parquet table with a `path` column and perhaps an `id` column,
    or .tar shards (`shard-{000..003}.tar`). Paths in lists are relative to the list's own folder.
    ids: "stem" (file name without extension, or the table's id) or "path" (path relative to the source).
    argument: what the user calls the source, for messages.
    Raises InputError where nothing is found, a source can't be read, or two pictures have the same id. A
    listed file that doesn't exist is found out when it is read.
    """
    if ids not in ("stem", "path"):
        raise ValueError(f"find_images: ids must be 'stem' or 'path', got {ids!r}")
    place = os.fspath(source)
    who = f"{argument} {printable(place)}"
    lower = place.lower()
    if os.path.isdir(place):
        files = _in_folder(place, ids, who)
    elif lower.endswith(SHARD_EXTENSIONS):
        files = _in_shards(place, ids, who)
    elif not os.path.exists(place):
        raise InputError(f"{who}: there is no such file or folder; check the path")
    elif lower.endswith(".txt"):
        files = _listed(read_list(place, who), place, ids)
    elif lower.endswith(".csv"):
        files = _listed(read_csv(place, who), place, ids)
    elif lower.endswith(".parquet"):
        files = _listed(read_parquet(place, who), place, ids)
    else:
        files = [_single(place, ids, who)]
    if not files:
        raise InputError(_nothing_found(place, who))
    _check_distinct(files, ids, who)
    return files


def printable(text: str) -> str:
    """The text on one line and valid as UTF-8: controls, line ends and stray bytes become \\x0a, \\u2028."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


def _escaped(character: str) -> str:
    kind, code = unicodedata.category(character), ord(character)
    if kind == "Cs":  # a byte of a file name that is not UTF-8 arrives as U+DC80 + (byte - 0x80)
        return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
    if kind in ("Cc", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character


def _in_folder(folder: str, ids: str, who: str) -> list[ImageFile]:
    """The images below a folder, sorted by the bytes of their names, each real folder once."""
    files: list[ImageFile] = []
    seen: set[tuple[int, int]] = set()
    waiting = [("", True)]  # paths relative to `folder`, next one last; and whether it is a folder
    while waiting:
        relative, is_folder = waiting.pop()
        path = os.path.join(folder, relative)
        if is_folder:
            waiting += reversed(_entries(path, relative, seen, who))
        else:
            files.append(_file(path, relative, None, ids))
    return files


def _entries(folder: str, relative: str, seen: set[tuple[int, int]], who: str) -> list[tuple[str, bool]]:
    """Images and subfolders of one folder; none if it was seen before, say through a link."""
    try:
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            return []
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise InputError(
            f"{who}: folder {printable(folder)} can't be listed ({error.strerror}); "
            "mend its permissions or move it"
        ) from error
    found = []
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            found.append((os.path.join(relative, entry.name), True))
        # A link to nothing stays in, and becomes a failure with its reason when it is read.
        elif _is_image_name(entry.name) and (entry.is_file() or entry.is_symlink()):
            found.append((os.path.join(relative, entry.name), False))
    return found


def _is_image_name(name: str) -> bool:
    return name.lower().endswith(IMAGE_EXTENSIONS)


def _in_shards(pattern: str, ids: str, who: str) -> list[ImageFile]:
    shards = [pattern] if os.path.exists(pattern) else expand_braces(pattern, who)
    base = os.path.dirname(shards[0] if len(shards) == 1 else pattern.partition("{")[0])
    for shard in shards:
        if not os.path.isfile(shard):
            raise InputError(f"{who}: there is no shard {printable(shard)}; check the path and the braces")
    files = []
    for shard in shards:
        shard_name = os.path.relpath(shard, base or ".")
        for member in index_shard(shard, f"{who}: shard {printable(shard)}"):
            stem = os.path.splitext(os.path.basename(member.name))[0]
            identity = printable(stem if ids == "stem" else f"{shard_name}/{member.name}")
            files.append(ImageFile(identity, shard, member.name, member.offset, member.num_bytes))
    return files


def _listed(rows: Iterable[Row], source: str, ids: str) -> list[ImageFile]:
    folder = os.path.dirname(source)
    return [_file(os.path.join(folder, path), path, identity, ids) for path, identity in rows]


def _single(path: str, ids: str, who: str) -> ImageFile:
    file = _file(path, os.path.basename(path), None, ids)
    if path.lower().endswith(PACKED_EXTENSIONS):
        raise InputError(
            f"{who}: packed tar files can't be read by seeking; unpack it to .tar first (gunzip, unzstd)"
        )
    if not _is_image_name(path):
        try:
            with open(path, "rb", opener=_open_without_waiting) as start:
                known = sniff(start.read(32)) is not None
        except OSError as error:
            raise InputError(f"{who}: can't be read ({error.strerror}); check the file") from error
        if not known:
            raise InputError(
                f"{who}: is neither an image nor a list of images; give a folder, an image, or a .txt, .csv, "
                ".parquet or .tar file"
            )
    return file


def _file(path: str, relative: str, identity: str | None, ids: str) -> ImageFile:
    if ids == "path":
        identity = relative
    elif identity is None:
        identity = os.path.splitext(os.path.basename(relative))[0] or relative
    return ImageFile(printable(identity), path)


def _nothing_found(place: str, who: str) -> str:
    if not os.path.isdir(place):
        return f"{who}: names no images; there must be at least one"
    if any(name.lower().endswith(SHARD_EXTENSIONS) for name in os.listdir(place)):
        return f"{who}: folder holds .tar shards but no images; name the shards, e.g. {{000..003}}.tar"
    return (
        f"{who}: folder holds no images (hidden files don't count); "
        f"extensions read: {' '.join(IMAGE_EXTENSIONS)}"
    )


def _check_distinct(files: list[ImageFile], ids: str, who: str) -> None:
    if len({file.id for file in files}) == len(files):
        return
    first: dict[str, ImageFile] = {}
    for file in files:
        if file.id in first:
            way_out = "give each its path as id with --ids path" if ids == "stem" else "name each file once"
            raise InputError(
                f"{who}: id {file.id!r} stands for two files, "
                f"{first[file.id].shown_path} and {file.shown_path}; {way_out}"
            )
        first[file.id] = file
