"""Every flipped bit and every missing byte of every file is found, and a repair keeps all that is sound."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import random
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_folders import batch, content, small_index

from asl_fast.errors import InputError
from asl_fast.indexes.folder import Damaged, IndexFolder, Snapshot, repair, verify
from asl_fast.indexes.folder.catalogue import Catalogue, catalogue_files, from_bytes, to_bytes
from asl_fast.indexes.folder.section_writer import planned, write_sections
from asl_fast.indexes.folder.sections import BLOCK_BYTES, SectionFile, parse_head
from asl_fast.records import Embeddings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_index(tmp_path / "index").path


def files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.name != "lock")
    assert len(found) == 8  # three shards of two files, a catalogue and its copy
    return found


def flip(path: Path, bit: int) -> None:
    with open(path, "r+b") as stream:
        stream.seek(bit // 8)
        (byte,) = stream.read(1)
        stream.seek(bit // 8)
        stream.write(bytes([byte ^ 1 << bit % 8]))


def check_flips(folder: Path, step: int) -> int:
    """Flip one bit after the other; each must be found, and in the right file."""
    num_flips = 0
    for path in files(folder):
        start = random.Random(path.suffix).randrange(step)
        for bit in range(start, 8 * path.stat().st_size, step):
            flip(path, bit)
            found = verify(folder, num_threads=1).damages
            assert [damage for damage in found if damage.file == path.name], f"bit {bit} of {path.name}"
            flip(path, bit)
            num_flips += 1
    assert not verify(folder).damages
    return num_flips


def test_a_flipped_bit_is_found_in_any_part_of_any_file(folder: Path) -> None:
    assert check_flips(folder, step=61) > 1000


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_flipped_bit_of_every_file_is_found(folder: Path) -> None:
    assert check_flips(folder, step=1) > 100_000


def test_a_flipped_bit_in_metadata_is_found_on_opening(folder: Path) -> None:
    for path in files(folder):
        if path.suffix == ".copy":
            continue
        metadata = path.stat().st_size if path.suffix == ".sqlite" else len(SectionFile(path).head.raw)
        for bit in range(0, 8 * metadata, 37):
            flip(path, bit)
            with pytest.raises(Damaged, match=r"is damaged: .*repair"):
                Snapshot(folder)
            flip(path, bit)


def test_a_flipped_bit_in_an_id_or_a_norm_is_found_when_it_is_read(folder: Path) -> None:
    for path in folder.glob("shard-*.ids"):
        for name in ("norm", "id_text", "id_end", "sequence"):
            section = SectionFile(path).section(name)
            flip(path, 8 * (section.offset + section.size // 2))
            with Snapshot(folder) as snapshot, pytest.raises(Damaged, match=f"section {name}"):
                snapshot.embeddings()
            flip(path, 8 * (section.offset + section.size // 2))


def test_a_file_cut_off_grown_or_gone_is_found_wherever_it_is_cut(folder: Path) -> None:
    for path in files(folder):
        whole = path.read_bytes()
        for size in {0, 1, 63, 64, len(whole) // 2, len(whole) - 1, len(whole) + 1}:
            path.write_bytes((whole + b"\0")[:size])
            assert any(damage.file == path.name for damage in verify(folder).damages), (path.name, size)
        path.unlink()
        assert verify(folder).damages
        path.write_bytes(whole)
    assert not verify(folder).damages


def test_damage_is_named_with_file_section_block_and_bytes(tmp_path: Path) -> None:
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=256)
    row_ND = np.random.default_rng(0).standard_normal((3000, 256)).astype(np.float32)
    index.add([Embeddings(ids=[str(row) for row in range(3000)], row_ND=row_ND)])
    path = index.path / "shard-00000001.rows"
    offset = SectionFile(path).section("rows").offset
    flip(path, 8 * (offset + BLOCK_BYTES + 5))
    (damage,) = verify(index.path).damages
    first, last = offset + BLOCK_BYTES, offset + 2 * BLOCK_BYTES - 1
    assert str(damage) == (
        f"shard-00000001.rows: section rows, block 1 (bytes {first} to {last}): checksum differs"
    )
    done = repair(index.path)
    assert len(done.lost) == 1024 and done.num_rows == 3000 - 1024  # a MiB of rows
    with open(index.path / "lost.csv", newline="") as stream:
        lost = {row["id"] for row in csv.DictReader(stream)}
    order = np.lexsort((np.arange(3000), -np.linalg.norm(row_ND.astype(np.float64), axis=1)))
    assert lost == {str(row) for row in order[1024:2048]}
    kept = content(index.path)
    assert lost | set(kept) == {str(row) for row in range(3000)}
    assert all(kept[name][0] == row_ND[int(name)].tobytes() for name in kept)
    assert not verify(index.path).damages


def test_after_any_single_damage_repair_loses_no_row_but_those_whose_floats_are_hurt(tmp_path: Path) -> None:
    whole = small_index(tmp_path / "whole").path
    before = content(whole)
    random_bits = random.Random(3)
    for name in [path.name for path in files(whole)]:
        for what in ("flip", "flip", "flip", "cut", "gone"):
            hurt = tmp_path / "hurt"
            shutil.copytree(whole, hurt)
            path = hurt / name
            if what == "flip":
                flip(path, random_bits.randrange(8 * path.stat().st_size))
            elif what == "cut":
                path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            else:
                path.unlink()
            done = repair(hurt)
            assert not verify(hurt).damages
            after = content(hurt)
            assert all(before[each] == after[each] for each in after), (name, what)
            assert [each for each in before if each in after] == list(after)
            assert {each for each, *_ in done.lost} == set(before) - set(after), (name, what)
            if not name.endswith(".rows"):
                assert after == before, (name, what)
            IndexFolder(hurt).add([batch(1000, 3)])
            shutil.rmtree(hurt)


@pytest.mark.parametrize("seed", range(6))
def test_damaged_rows_are_never_copied_under_a_sound_checksum(folder: Path, seed: int) -> None:
    held = content(folder)
    shard = next(path for path in files(folder) if path.name == "shard-00000002.rows")
    section = parse_head(shard.read_bytes(), shard).sections["rows"]
    flip(shard, random.Random(seed).randrange(8 * section.offset, 8 * (section.offset + section.size)))
    before = {path.name: path.read_bytes() for path in files(folder)}
    with pytest.raises(Damaged, match=r"shard-00000002\.rows is damaged: section rows, .*index repair"):
        IndexFolder(folder).compact()
    with Snapshot(folder) as snapshot, pytest.raises(Damaged, match=r"shard-00000002\.rows is damaged"):
        snapshot.embeddings()
    assert {path.name: path.read_bytes() for path in files(folder)} == before
    lost = {row[0] for row in repair(folder).lost}
    assert 0 < len(lost) < len(held)
    assert IndexFolder(folder).compact() is not None
    assert content(folder) == {name: row for name, row in held.items() if name not in lost}
    assert not verify(folder).damages


def test_damage_to_the_head_of_a_file_costs_no_row(folder: Path) -> None:
    before = content(folder)
    for name in ("shard-00000001.rows", "shard-00000002.ids"):
        (folder / name).write_bytes(bytes(200) + (folder / name).read_bytes()[200:])
    assert repair(folder).lost == []
    assert content(folder) == before and not verify(folder).damages


def test_without_catalogue_and_copy_the_shards_tell_what_they_hold(folder: Path) -> None:
    before = content(folder)
    IndexFolder(folder).compact()
    IndexFolder(folder).add([batch(0, 2, seed=77)], replace_ids=True)
    replaced = content(folder)
    assert replaced != before
    for file in catalogue_files(folder):
        file.path.unlink()
    with pytest.raises(Damaged, match="the catalogue is gone"):
        Snapshot(folder)
    assert verify(folder).damages
    done = repair(folder)
    assert any("made anew from the shards" in note for note in done.notes)
    assert content(folder) == replaced and not verify(folder).damages
    with Snapshot(folder) as snapshot:
        assert snapshot.fingerprint == "f" * 64
    IndexFolder(folder).add([batch(500, 2)])
    assert list(content(folder))[-2:] == ["id500", "id501"]


def test_removed_rows_are_not_reported_as_lost_and_stay_removed(folder: Path) -> None:
    for name in ("shard-00000001.rows", "shard-00000001.ids"):
        (folder / name).unlink()
    done = repair(folder)
    assert len(done.lost) == 10 and all(name == "" for name, *_ in done.lost)
    assert list(content(folder)) == [f"id{row}" for row in range(12, 21)]


def test_a_repair_of_a_sound_index_changes_nothing(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert repair(folder).lost == []
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_second_repair_adds_to_the_list_of_lost_rows(folder: Path) -> None:
    for number in (1, 2):
        path = folder / f"shard-{number:08d}.rows"
        flip(path, 8 * SectionFile(path).section("rows").offset)
        assert repair(folder).lost
    lines = (folder / "lost.csv").read_text().splitlines()
    assert lines[0] == "id,shard,row,reason"
    assert len(lines) == 1 + 10 + 5


def test_a_newer_format_is_refused_with_the_way_out(folder: Path) -> None:
    path = next(folder.glob("shard-*.rows"))
    raw = bytearray(SectionFile(path).head.raw)
    struct.pack_into("<I", raw, 8, 2)
    raw[32:64] = hashlib.sha256(raw[:32] + raw[64:]).digest()
    with pytest.raises(InputError, match=r"is of format 2\.1, this version reads 1\.x; update asl_fast"):
        parse_head(bytes(raw), path)


def test_unknown_sections_are_skipped_but_verified(tmp_path: Path) -> None:
    path = tmp_path / "file"
    known = planned(np.arange(5), "<i8")
    write_sections(path, {}, {"new": planned(np.arange(7), "<i4"), "known": known})
    raw = path.read_bytes().replace(b'"<i4"', b'"<c9"')
    head = raw[:32]
    table = raw[64 : 64 + struct.unpack_from("<Q", raw, 24)[0]]
    path.write_bytes(head + hashlib.sha256(head + table).digest() + raw[64:])
    file = SectionFile(path)
    assert file.section("new").dtype is None and file.block_is_sound(file.section("new"), 0)
    np.testing.assert_array_equal(file.read("known", "<i8", (5,)), np.arange(5))
    with pytest.raises(Damaged, match="a type that this version doesn't know"):
        file.map("new")


def damaged_bytes(data: bytes, edits: list[tuple[int, int]], cut: int) -> bytes:
    changed = bytearray(data)
    for at, value in edits:
        changed[at % len(changed)] = value
    return bytes(changed[: cut % (len(changed) + 1)] if cut else changed)


EDITS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8)


@settings(max_examples=300, deadline=None)
@given(edits=EDITS, cut=st.integers(0, 1 << 20))
def test_whatever_stands_in_a_catalogue_it_is_read_or_refused(edits: list[tuple[int, int]], cut: int) -> None:
    with contextlib.suppress(InputError):
        from_bytes(damaged_bytes(to_bytes(CATALOGUE), edits, cut), "catalogue")


CATALOGUE = Catalogue(generation=3, num_dims=4, dead={})


def with_right_digest(head: bytes, table: bytes) -> bytes:
    """A head that passes its own check, whatever it says."""
    start = head[:24] + struct.pack("<Q", len(table))
    return start + hashlib.sha256(start + table).digest() + table


@settings(max_examples=500, deadline=None)
@given(
    edits=EDITS, size=st.one_of(st.none(), st.integers(0, 1 << 62)), json=st.none() | st.binary(max_size=99)
)
def test_whatever_a_table_of_sections_says_it_is_read_or_refused(
    edits: list[tuple[int, int]], size: int | None, json: bytes | None
) -> None:
    table = damaged_bytes(TABLE, edits, 0) if json is None else json
    head = struct.pack("<8sIIQ", b"\x89aslsec\n", 1, 0, 64 + len(TABLE) + 128 if size is None else size)
    raw = with_right_digest(head, table)
    try:
        parsed = parse_head(raw, "file")
    except InputError:
        return
    end = len(raw)
    for section in parsed.sections.values():
        assert section.offset == end and section.offset % 64 == 0
        end += section.padded
    assert end == parsed.size


TABLE = (
    b'{"about": {}, "sections": ['
    b'{"name": "a", "type": "<f4", "shape": [2, 8], "size": 64, "crc32": "00000000"},'
    b'{"name": "b", "type": "|u1", "shape": [3], "size": 3, "crc32": "00000000"}]}'
).ljust(256)


@pytest.mark.parametrize("num_rounds", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_fuzzed_folder_is_opened_verified_and_repaired_without_a_crash(
    folder: Path, num_rounds: int
) -> None:
    before = content(folder)
    saved = {path.name: path.read_bytes() for path in files(folder)}
    for seed in range(num_rounds):
        chance = random.Random(seed)
        for path in list(folder.iterdir()):
            path.unlink()
        for name, data in saved.items():
            changed = data
            if chance.random() < 0.5:
                edits = [
                    (chance.randrange(len(data)), chance.randrange(256))
                    for _ in range(chance.randrange(1, 9))
                ]
                changed = damaged_bytes(data, edits, chance.choice([0, 0, chance.randrange(1, len(data))]))
            (folder / name).write_bytes(changed)
        is_hurt = any((folder / name).read_bytes() != data for name, data in saved.items())
        assert bool(verify(folder, num_threads=1).damages) == is_hurt, seed
        try:
            repair(folder, num_threads=1)
        except InputError as error:
            if "nothing is left that could be repaired" in str(error):
                continue
            raise
        assert not verify(folder, num_threads=1).damages, seed
        after = content(folder)
        removed = {"id3", "id7"}  # they may be back if both catalogues are hurt
        assert all(after[name] == before[name] for name in set(after) - removed), seed
