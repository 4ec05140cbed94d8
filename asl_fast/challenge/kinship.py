"""Which photos belong together: of one group (scene, product, clip), or told as a pair that looks alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asl_fast.errors import InputError
from asl_fast.files import csv_rows
from asl_fast.images import ImageFile, printable


@dataclass(frozen=True)
class Kinship:
    """Of photos by number. group: those of its group, itself among them.  pairs: its partners in pairs."""

    group: tuple[tuple[int, ...], ...]
    pairs: tuple[tuple[int, ...], ...]

    @classmethod
    def of(
        cls,
        files: Sequence[ImageFile],
        group_of_path: dict[str, str],
        pairs: Iterable[tuple[str, str]],
    ) -> Kinship:
        """group_of_path: real path -> group.  pairs: of real paths. Others than `files` are passed over."""
        paths = [os.path.realpath(file.path) if file.member is None else "" for file in files]
        number_of = {path: number for number, path in enumerate(paths) if path}
        members: dict[str, list[int]] = {}
        for number, path in enumerate(paths):
            if path in group_of_path:
                members.setdefault(group_of_path[path], []).append(number)
        group: list[tuple[int, ...]] = [(number,) for number in range(len(paths))]
        for together in members.values():
            for number in together:
                group[number] = tuple(together)
        paired: list[set[int]] = [set() for _ in paths]
        for a, b in pairs:
            if a in number_of and b in number_of and a != b:
                paired[number_of[a]].add(number_of[b])
                paired[number_of[b]].add(number_of[a])
        return cls(tuple(group), tuple(tuple(sorted(some)) for some in paired))

    def kin(self, number: int) -> set[int]:
        """All that may show the same as this photo, without itself."""
        return {*self.group[number], *self.pairs[number]} - {number}


def read_groups(source: str, argument: str = "--groups") -> dict[str, str]:
    """Real path -> group, of a CSV with the columns file (or path) and group; paths count from its folder.

    InputError names the line that is wrong.
    """
    who = f"{argument} {printable(source)}"
    if not os.path.isfile(source):
        raise InputError(f"{who}: there is no such file; check the path")
    folder = os.path.dirname(source)
    columns: tuple[int, int] | None = None
    group_of: dict[str, str] = {}
    for line, cells in csv_rows(source):
        if columns is None:
            columns = _columns(cells, f"{who} line {line}")
            continue
        if len(cells) <= max(columns):
            raise InputError(
                f"{who} line {line}: has {len(cells)} cells, fewer than the header; mend the line"
            )
        name, group = (cells[at].strip() for at in columns)
        if not name or not group:
            raise InputError(f"{who} line {line}: file and group must not be empty; mend the line")
        path = os.path.realpath(os.path.join(folder, name))
        if group_of.setdefault(path, group) != group:
            raise InputError(
                f"{who} line {line}: {printable(name)} is in group {printable(group)} here and in "
                f"{printable(group_of[path])} above; a photo has one group"
            )
    if not group_of:
        raise InputError(f"{who}: names no photo; there must be at least one")
    return group_of


def _columns(header: list[str], place: str) -> tuple[int, int]:
    names = [cell.strip().lower() for cell in header]
    file = next((names.index(name) for name in ("file", "path") if name in names), None)
    if file is None or "group" not in names:
        raise InputError(
            f"{place}: the header must name file (or path) and group, got '{printable(','.join(header))}'"
        )
    return file, names.index("group")
