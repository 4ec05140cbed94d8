"""The codes in a shard: those of its rows, or the search and `verify` say that they aren't."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from index_folders import content, small_index

from asl_fast.indexes.folder import Damaged, IndexFolder, Snapshot, repair, verify
from asl_fast.indexes.folder import shard as shards
from asl_fast.indexes.folder.codes import TYPES
from asl_fast.indexes.folder.sections import SectionFile
from asl_fast.kernels.ratio_search import encode
from asl_fast.records import Embeddings


class NoCodes:
    """In the place of CodeWriter: writes shards as format 1.0 had them."""

    def __init__(self, *_: object) -> None: ...
    def __enter__(self) -> NoCodes:
        return self

    def __exit__(self, *_: object) -> None: ...
    def watched(self, row_blocks: object) -> object:
        return row_blocks

    def sections(self) -> dict[str, object]:
        return {}


class LyingCodes(shards.CodeWriter):
    """Writes the codes of other rows, with checksums that fit."""

    def watched(self, row_blocks):  # type: ignore[no-untyped-def]
        for block_BD in row_blocks:
            list(super().watched([np.ascontiguousarray(-block_BD[:, ::-1])]))
            yield block_BD


def big_index(folder: Path) -> tuple[IndexFolder, np.ndarray]:
    index = IndexFolder(folder, shard_rows=2000)
    index.create(num_dims=33)
    row_ND = np.random.default_rng(1).standard_normal((3000, 33)).astype(np.float32)
    index.add([Embeddings(ids=[str(row) for row in range(3000)], row_ND=row_ND)])
    return index, row_ND


def test_the_codes_are_those_of_the_rows_after_every_kind_of_write(tmp_path: Path) -> None:
    index, _ = big_index(tmp_path / "index")
    for change in ("add", "compact", "repair"):
        if change == "compact":
            index.remove([str(row) for row in range(0, 3000, 7)])
            assert index.compact() is not None
        if change == "repair":
            damage(next(index.path.glob("shard-*.rows")), "rows")
            assert repair(index.path).lost
        with Snapshot(index.path) as snapshot:
            for shard in snapshot.shards:
                codes, made = shard.codes, encode(shard.row_ND)
                assert codes is not None
                for name, column_N in vars(made).items():
                    np.testing.assert_array_equal(getattr(codes, name), column_N)


def damage(path: Path, name: str, place: int = 0) -> None:
    """Flip a bit of the section."""
    offset = SectionFile(path).section(name).offset + place
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << random.Random(name).randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("name", TYPES)
def test_a_flipped_bit_in_the_codes_stops_a_search_and_costs_no_row(tmp_path: Path, name: str) -> None:
    folder = small_index(tmp_path / "index").path
    before = content(folder)
    damage(folder / "shard-00000002.rows", name)
    with (
        Snapshot(folder) as snapshot,
        pytest.raises(Damaged, match=f"section {name}, block 0 .*: checksum differs"),
    ):
        snapshot.search(np.ones((1, 4), np.float32))
    assert [each.file for each in verify(folder).damages] == ["shard-00000002.rows"]
    assert repair(folder).lost == []
    assert content(folder) == before and not verify(folder).damages


def test_codes_of_other_rows_are_found_by_verify_and_made_anew_by_repair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "CodeWriter", LyingCodes)
    index, row_ND = big_index(tmp_path / "index")
    monkeypatch.undo()
    with (
        Snapshot(index.path) as snapshot,
        pytest.raises(RuntimeError, match="a score that its code rules out"),
    ):
        snapshot.search(row_ND[:50], k=5)
    assert {each.what for each in verify(index.path).damages} == {"the codes are not those of the rows"}
    before = content(index.path)
    assert repair(index.path).lost == []
    assert content(index.path) == before and not verify(index.path).damages


def test_a_shard_without_codes_is_searched_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, row_ND = big_index(tmp_path / "new")
    monkeypatch.setattr(shards, "CodeWriter", NoCodes)
    old, _ = big_index(tmp_path / "old")
    monkeypatch.undo()
    assert not verify(old.path).damages
    with Snapshot(old.path) as old_state, Snapshot(index.path) as state:
        assert old_state.shards[0].codes is None and state.shards[0].codes is not None
        found, want = old_state.search(row_ND[:50], k=5), state.search(row_ND[:50], k=5)
    for name, column_QK in vars(want).items():
        np.testing.assert_array_equal(getattr(found, name), column_QK)
    assert IndexFolder(old.path).compact() is not None
    with Snapshot(old.path) as state:
        assert all(shard.codes is not None for shard in state.shards)
