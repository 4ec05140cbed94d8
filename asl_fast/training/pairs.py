"""Hard-negative pairs on disk: photos that look alike, of which one at least is no copy of the other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asl_fast.errors import InputError
from asl_fast.files import csv_rows
from asl_fast.images import ImageFile, printable
from asl_fast.images.find import IMAGE_EXTENSIONS
from asl_fast.training.photo_set import Pair

NDEC_ORDERS = ("other-over-t", "t-over-other")
_DIRECTIONS = {"a_over_b": 1, "b_over_a": -1, "none": 0, "": 0}
_COLUMNS = (("file_a", "a"), ("file_b", "b"))
_FOLDER = "negative_pair"  # what NDEC calls it
_BASIC = re.compile(r"T\d")  # a photo of the basic training set, T######.jpg


@dataclass(frozen=True)
class FilePair:
    """order: 1 = a is no copy of b, so a's norm should be the larger; -1 = the other way; 0 = neither is one.

    place: where the pair was read, for messages.
    """

    a: ImageFile
    b: ImageFile
    order: int
    place: str


def read_pairs(source: str, *, ndec_order: str = NDEC_ORDERS[0], argument: str = "--pairs") -> list[FilePair]:
    """The pairs of a table or of a folder in NDEC's layout, each pair of files once.

    A table is a CSV with a header: `file_a,file_b,direction` (or `a,b`; paths count from the table's folder).
    direction: a_over_b (a is similar to b and no copy of it), b_over_a, none or empty (neither is a copy of
    the other). A column `label`, if there is one, must say not_copy.
    In NDEC's layout every folder `negative_pair/<n>/` holds T######.jpg and one other picture. ndec_order:
    which of the two should have the larger norm; the paper doesn't tell how its files are ordered.
    argument: what the user calls the source.  InputError names the place and what is wrong there.
    """
    if ndec_order not in NDEC_ORDERS:
        raise ValueError(
            f"read_pairs: ndec_order must be one of {', '.join(NDEC_ORDERS)}, got {ndec_order!r}"
        )
    who = f"{argument} {printable(source)}"
    if os.path.isdir(source):
        found = _in_folders(Path(source), 1 if ndec_order == "t-over-other" else -1, who)
    elif os.path.isfile(source):
        found = _in_table(source, who)
    else:
        raise InputError(f"{who}: there is no such file or folder; check the path")
    pairs = _distinct(found)
    if not pairs:
        raise InputError(f"{who}: holds no pairs; there must be at least one")
    return pairs


def number_pairs(files: Sequence[ImageFile], pairs: Sequence[FilePair]) -> tuple[list[ImageFile], list[Pair]]:
    """(`files`, then the files that only pairs have; the pairs by numbers in that list)."""
    listed = list(files)
    number_of = {os.path.abspath(file.path): number for number, file in enumerate(files) if not file.member}

    def number(file: ImageFile) -> int:
        path = os.path.abspath(file.path)
        if path not in number_of:
            number_of[path] = len(listed)
            listed.append(file)
        return number_of[path]

    return listed, [Pair(number(pair.a), number(pair.b), pair.order) for pair in pairs]


def _in_table(path: str, who: str) -> Iterator[FilePair]:
    folder = os.path.dirname(path)
    column_of: dict[str, int] | None = None
    for line, cells in csv_rows(path):
        place = f"{who} line {line}"
        if column_of is None:
            column_of = _columns(cells, place)
            continue
        if len(cells) <= max(column_of["a"], column_of["b"]):
            raise InputError(f"{place}: has {len(cells)} cells, fewer than the header; name two files")
        cell = {name: cells[at].strip() if at < len(cells) else "" for name, at in column_of.items()}
        label = cell.get("label", "")
        if label not in ("", "not_copy"):
            raise InputError(
                f"{place}: label must be not_copy or empty, got '{printable(label)}'; "
                "a copy is no hard negative"
            )
        direction = cell.get("direction", "")
        if direction not in _DIRECTIONS:
            raise InputError(
                f"{place}: direction must be a_over_b, b_over_a, none or empty, got '{printable(direction)}'"
            )
        a, b = (_file(folder, cell[name], place) for name in ("a", "b"))
        yield _pair(a, b, _DIRECTIONS[direction], place)


def _columns(header: list[str], place: str) -> dict[str, int]:
    names = [cell.strip().lower() for cell in header]
    column_of: dict[str, int] = {}
    for name in ("direction", "label"):
        if name in names:
            column_of[name] = names.index(name)
    for long, short in _COLUMNS:
        if long not in names and short not in names:
            raise InputError(
                f"{place}: the header must name file_a and file_b (or a and b), "
                f"got '{printable(','.join(header))}'"
            )
        column_of[short] = names.index(long if long in names else short)
    return column_of


def _in_folders(folder: Path, order: int, who: str) -> Iterator[FilePair]:
    inner = folder / _FOLDER
    root = inner if inner.is_dir() else folder
    numbered = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    for pair_folder in sorted(numbered, key=lambda entry: (len(entry.name), entry.name)):
        place = f"{who}: {printable(os.path.relpath(pair_folder, folder))}"
        pictures = sorted(
            entry.name
            for entry in pair_folder.iterdir()
            if entry.name.lower().endswith(IMAGE_EXTENSIONS) and not entry.name.startswith(".")
        )
        basic = [name for name in pictures if _BASIC.match(name)]
        if len(pictures) != 2 or len(basic) != 1:
            raise InputError(
                f"{place} must hold two pictures, one of them T followed by digits, "
                f"got {printable(', '.join(pictures[:4])) or 'none'}"
            )
        (other,) = set(pictures) - set(basic)
        a, b = (_file(str(root), os.path.join(pair_folder.name, name), place) for name in (basic[0], other))
        yield _pair(a, b, order, place)


def _file(folder: str, name: str, place: str) -> ImageFile:
    path = os.path.join(folder, name)
    if not name or not os.path.isfile(path):
        raise InputError(
            f"{place}: there is no file '{printable(name)}'; paths count from {printable(folder or '.')}"
        )
    return ImageFile(printable(name), path)


def _pair(a: ImageFile, b: ImageFile, order: int, place: str) -> FilePair:
    if os.path.samefile(a.path, b.path):
        raise InputError(f"{place}: both are the same file, {a.shown_path}; a pair is of two photos")
    return FilePair(a, b, order, place)


def _distinct(found: Iterator[FilePair]) -> list[FilePair]:
    """Each pair once; InputError if it is told twice and not alike."""
    known: dict[tuple[str, str], FilePair] = {}
    for pair in found:
        a, b = os.path.abspath(pair.a.path), os.path.abspath(pair.b.path)
        key, turned = ((a, b), pair.order) if a < b else ((b, a), -pair.order)
        first = known.setdefault(key, pair)
        told = first.order if os.path.abspath(first.a.path) == key[0] else -first.order
        if told != turned:
            raise InputError(
                f"{pair.place}: gives the pair of {first.place} another direction; a pair has one"
            )
    return list(known.values())
