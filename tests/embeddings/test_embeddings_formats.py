"""Every format: round trips, foreign files, damage, and what is said about it."""

from __future__ import annotations

import json
import pickle
import resource
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.embeddings import SUFFIXES, read_embeddings, write_embeddings, write_pair
from asl_fast.errors import InputError
from asl_fast.records import Embeddings, norms


def make(num_rows: int = 5, num_dims: int = 4, **fields: object) -> Embeddings:
    row_ND = np.random.default_rng(num_rows).standard_normal((num_rows, num_dims)).astype(np.float32)
    ids = [f"picture {row}" for row in range(num_rows)]
    return Embeddings(**{"ids": ids, "row_ND": row_ND, "fingerprint": "f00d", **fields})


def complaint(path: object, **arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        read_embeddings(path, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(found: Embeddings, wanted: Embeddings) -> None:
    assert list(found.ids) == list(wanted.ids)
    np.testing.assert_array_equal(found.row_ND, wanted.row_ND)
    assert (found.path_N is None) == (wanted.path_N is None)
    assert wanted.path_N is None or list(found.path_N) == list(wanted.path_N)
    assert found.fingerprint == wanted.fingerprint


LINES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\n\r\0"), max_size=20)
PATHS = st.text(st.characters(exclude_characters="\0"), max_size=20)
FLOATS = st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)


@st.composite
def embeddings(draw: st.DrawFn) -> Embeddings:
    num_dims = draw(st.integers(1, 5))
    ids = draw(st.lists(LINES, min_size=1, max_size=6, unique=True))
    row = st.lists(FLOATS, min_size=num_dims, max_size=num_dims).filter(any)
    rows = draw(st.lists(row, min_size=len(ids), max_size=len(ids)))
    paths = draw(st.none() | st.lists(PATHS, min_size=len(ids), max_size=len(ids)))
    return Embeddings(
        ids=ids,
        row_ND=np.array(rows, np.float32),
        path_N=paths,
        fingerprint=draw(st.sampled_from(["", "ab12"])),
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=25)
@given(wanted=embeddings())
def test_whatever_is_written_is_read(suffix, wanted):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"rows{suffix}"
        assert write_embeddings(path, wanted)[-1] == path
        assert_same(read_embeddings(path), wanted)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_writing_twice_gives_the_same_bytes(tmp_path, suffix):
    for name in "ab":
        write_embeddings(tmp_path / f"{name}{suffix}", make(path_N=list("vwxyz")))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet"])
def test_norms_of_another_network_are_kept(tmp_path, suffix):
    wanted = make(norm_N=np.array([1.0, 2, 3, 4, 5]))
    write_embeddings(tmp_path / f"r{suffix}", wanted)
    np.testing.assert_array_equal(read_embeddings(tmp_path / f"r{suffix}").norm_N, wanted.norm_N)


def test_npy_does_not_silently_lose_norms_of_another_network(tmp_path):
    with pytest.raises(ValueError, match=r"another network's norms; write .npz"):
        write_embeddings(tmp_path / "r.npy", make(norm_N=np.ones(5)))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("identity", ["a\nb", "a\r", "a\0", "\udc80"])
def test_an_id_that_is_no_line_is_not_written(tmp_path, suffix, identity):
    with pytest.raises(ValueError, match="one a line"):
        write_embeddings(tmp_path / f"r{suffix}", make(1, ids=[identity]))
    assert list(tmp_path.iterdir()) == []


def test_npy_rows_are_mapped_and_plain_for_numpy(tmp_path):
    wanted = make()
    write_embeddings(tmp_path / "r.npy", wanted)
    np.testing.assert_array_equal(np.load(tmp_path / "r.npy", allow_pickle=False), wanted.row_ND)
    assert (tmp_path / "r.ids.txt").read_text() == "".join(f"picture {row}\n" for row in range(5))
    assert not read_embeddings(tmp_path / "r.npy").row_ND.flags.owndata


def test_ids_come_from_the_text_file_of_the_same_name(tmp_path):
    np.save(tmp_path / "r.npy", make(3).row_ND)
    (tmp_path / "r.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\nc")
    assert read_embeddings(tmp_path / "r.npy").ids == ["a", "b", "c"]


def test_ids_are_row_numbers_where_there_is_no_list(tmp_path):
    np.save(tmp_path / "r.npy", make(3).row_ND)
    assert read_embeddings(tmp_path / "r.npy").ids == ["0", "1", "2"]


def test_a_list_given_by_hand_replaces_the_ids(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(2))
    (tmp_path / "other.txt").write_text("x\ny\n")
    assert read_embeddings(tmp_path / "r.npy", ids_path=tmp_path / "other.txt").ids == ["x", "y"]


@pytest.mark.parametrize("dtype", ["<f2", ">f4", "<f8"])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5"])
def test_other_floating_types_stay_as_they_are(tmp_path, dtype, suffix):
    row_ND = make(3).row_ND.astype(dtype)
    if suffix == ".npy":
        np.save(tmp_path / "r.npy", row_ND)
    elif suffix == ".npz":
        np.savez(tmp_path / "r.npz", vectors=row_ND)
    else:
        with h5py.File(tmp_path / "r.h5", "w") as file:
            file["vectors"] = row_ND
            file["image_names"] = ["a", "b", "c"]
    found = read_embeddings(tmp_path / f"r{suffix}")
    native_ND = row_ND.astype(row_ND.dtype.newbyteorder("="))
    np.testing.assert_array_equal(found.row_ND, native_ND, strict=True)
    np.testing.assert_array_equal(found.norm_N, norms(row_ND.astype(np.float32)), strict=True)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_other_floating_types_go_through_every_format(tmp_path, dtype, suffix):
    row_ND = make(30).row_ND.astype(dtype)
    write_embeddings(tmp_path / f"r{suffix}", make(30, row_ND=row_ND))
    np.testing.assert_array_equal(read_embeddings(tmp_path / f"r{suffix}").row_ND, row_ND, strict=True)


def test_a_header_of_another_type_for_the_same_bytes_is_noticed(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(4, 8))
    whole = (tmp_path / "r.npy").read_bytes()
    (tmp_path / "r.npy").write_bytes(whole.replace(b"'<f4'", b"'>f4'", 1))
    assert "its rows are not those" in complaint(tmp_path / "r.npy")
    (tmp_path / "r.npy").write_bytes(whole.replace(b"'<f4'", b"'<f2'", 1).replace(b"(4, 8)", b"(8, 8)", 1))
    assert "its rows are not those" in complaint(tmp_path / "r.npy")


def test_a_double_too_large_for_float32_is_named(tmp_path):
    row_ND = np.ones((3, 4))
    row_ND[1, 2] = 1e39
    np.save(tmp_path / "r.npy", row_ND)
    (tmp_path / "r.txt").write_text("a\nb\nc\n")
    assert "value 1e+39 in row 1 (id 'b') does not fit float32" in complaint(tmp_path / "r.npy")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.asfortranarray(np.ones((3, 4), np.float32)), "Fortran order"),
        (np.ones((3, 4), np.int32), "must be float32 (or float16, float64), got int32"),
        (np.ones((3, 4), np.complex64), "got complex64"),
        (np.ones((3, 4), bool), "got bool"),
        (np.ones(4, np.float32), "must have shape (N, D), got (4,)"),
        (np.ones((2, 3, 4), np.float32), "got (2, 3, 4)"),
        (np.ones((0, 4), np.float32), "holds no rows"),
        (np.array([["a", 1]], dtype=object), "Python objects"),
        (np.float32(3), "must have shape (N, D), got ()"),
        (np.array([[1, 2], [np.nan, 1]], np.float32), "row 1 (id '1') holds NaN or infinite"),
        (np.array([[1, 2], [0, 0]], np.float32), "row 1 (id '1') is all zeros"),
    ],
    ids=str,
)
def test_an_array_that_holds_no_rows_is_told(tmp_path, array, words):
    np.save(tmp_path / "r.npy", array, allow_pickle=True)
    assert words in complaint(tmp_path / "r.npy")


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_pickle_is_never_run(tmp_path):
    (tmp_path / "r.npy").write_bytes(pickle.dumps(Bomb()))
    assert "not what np.save writes" in complaint(tmp_path / "r.npy")
    np.savez(tmp_path / "r.npz", rows=np.array([Bomb()], dtype=object), allow_pickle=True)
    assert "r.npz" in complaint(tmp_path / "r.npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_off_anywhere_is_one_line(tmp_path, suffix):
    write_embeddings(tmp_path / f"r{suffix}", make(40, 16))
    whole = (tmp_path / f"r{suffix}").read_bytes()
    for length in [0, 1, 5, 7, 64, 200, len(whole) // 2, len(whole) - 1]:
        (tmp_path / f"r{suffix}").write_bytes(whole[:length])
        assert f"r{suffix}" in complaint(tmp_path / f"r{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_in_the_rows_is_noticed(tmp_path, suffix):
    wanted = make(40, 16)
    write_embeddings(tmp_path / f"r{suffix}", wanted)
    whole = bytearray((tmp_path / f"r{suffix}").read_bytes())
    whole[whole.index(wanted.row_ND[20].tobytes()[:16]) + 1] ^= 1
    (tmp_path / f"r{suffix}").write_bytes(whole)
    assert f"r{suffix}" in complaint(tmp_path / f"r{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_noise_is_one_line(tmp_path, suffix):
    (tmp_path / f"r{suffix}").write_bytes(np.random.default_rng(0).bytes(3000))
    assert f"r{suffix}" in complaint(tmp_path / f"r{suffix}")


def test_sidecars_of_other_rows_are_noticed(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(5))
    np.save(tmp_path / "r.npy", 2 * make(5).row_ND)
    assert "its rows are not those that r.meta.json" in complaint(tmp_path / "r.npy")


def test_an_id_list_of_other_rows_is_noticed(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(2))
    (tmp_path / "r.ids.txt").write_text("a\nb\n")
    assert "the id list beside it is not the one" in complaint(tmp_path / "r.npy")


def test_paths_of_an_earlier_file_do_not_stay(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(2, path_N=["a", "b"]))
    write_embeddings(tmp_path / "r.npy", make(2))
    assert read_embeddings(tmp_path / "r.npy").path_N is None


def test_counts_that_differ_are_told_by_name(tmp_path):
    np.save(tmp_path / "r.npy", make(3).row_ND)
    (tmp_path / "ids.txt").write_text("a\nb\n")
    assert "r.npy has 3 rows but" in complaint(tmp_path / "r.npy", ids_path=tmp_path / "ids.txt")
    (tmp_path / "r.ids.txt").write_text("a\nb\n")
    assert "r.npy: has 2 ids but 3 rows" in complaint(tmp_path / "r.npy")
    (tmp_path / "r.ids.txt").write_text("a\nb\na\n")
    assert "id 'a' stands twice (rows 0 and 2)" in complaint(tmp_path / "r.npy")
    (tmp_path / "r.ids.txt").write_bytes(b"a\n\xff\nc\n")
    assert "is not UTF-8" in complaint(tmp_path / "r.npy")


def test_norms_come_from_another_file_by_id(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(3))
    other = make(3, ids=["picture 2", "picture 0", "picture 1"])
    write_embeddings(tmp_path / "other.parquet", other)
    found = read_embeddings(tmp_path / "r.npy", norms_path=tmp_path / "other.parquet")
    np.testing.assert_array_equal(found.norm_N, norms(other.row_ND)[[1, 2, 0]])
    np.save(tmp_path / "norms.npy", np.array([3, 4, 5], np.float32))
    found = read_embeddings(tmp_path / "r.npy", norms_path=tmp_path / "norms.npy")
    assert found.norm_N.tolist() == [3, 4, 5]


def test_norms_that_do_not_fit_are_told(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(3))
    np.save(tmp_path / "n.npy", np.ones(4, np.float32))
    assert "has 4 norms but" in complaint(tmp_path / "r.npy", norms_path=tmp_path / "n.npy")
    np.save(tmp_path / "n.npy", np.array([1, 0, 1], np.float32))
    assert "finite and above 0, got 0.0 in row 1" in complaint(
        tmp_path / "r.npy", norms_path=tmp_path / "n.npy"
    )
    write_embeddings(tmp_path / "o.npy", make(3, ids=["picture 0", "x", "y"]))
    assert "no row for id 'picture 1'" in complaint(tmp_path / "r.npy", norms_path=tmp_path / "o.npy")


def test_one_hdf5_file_holds_both_sides(tmp_path):
    queries, refs = make(2, path_N=["a", "b"]), make(4, norm_N=np.ones(4))
    write_pair(tmp_path / "both.h5", queries=queries, refs=refs)
    assert_same(read_embeddings(tmp_path / "both.h5", side="queries"), queries)
    assert_same(read_embeddings(tmp_path / "both.h5", side="refs"), refs)
    assert read_embeddings(tmp_path / "both.h5", side="refs").norm_N.tolist() == [1] * 4
    assert "say which" in complaint(tmp_path / "both.h5")


def test_hdf5_rows_carry_checksums(tmp_path):
    write_embeddings(tmp_path / "r.h5", make())
    with h5py.File(tmp_path / "r.h5") as file:
        assert file["vectors"].fletcher32 and file["image_names"].fletcher32


def test_hdf5_without_rows_names_what_is_there(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["features"] = np.ones((2, 2), np.float32)
    assert "neither `vectors` nor `query` and `reference`, only ['features']" in complaint(tmp_path / "r.h5")


def test_long_and_short_ids_share_an_hdf5_file(tmp_path):
    wanted = make(2000, 2, ids=["x" * 4000, *map(str, range(1999))])
    write_embeddings(tmp_path / "r.h5", wanted)
    assert_same(read_embeddings(tmp_path / "r.h5"), wanted)
    assert (tmp_path / "r.h5").stat().st_size < 500_000


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 2)]
)
def test_parquet_of_other_tools_is_read(tmp_path, kind):
    table = pa.table({"image_id": pa.array([7, 8]), "vector": pa.array([[1.0, 2.0], [3.0, 4.0]], kind)})
    pq.write_table(table, tmp_path / "r.parquet")
    found = read_embeddings(tmp_path / "r.parquet")
    assert found.ids == ["7", "8"] and found.row_ND.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (
            pa.array([[1.0, 2.0], [3.0]], pa.list_(pa.float32())),
            "must have one length; row 0 has 2 values, row 1 has 1",
        ),
        (pa.array([[1.0], None], pa.list_(pa.float32())), "has 1 empty cells"),
        (pa.array([[1.0], [None]], pa.list_(pa.float32())), "1 empty cells"),
        (pa.array([[1], [2]], pa.list_(pa.int32())), "lists of int32"),
        (pa.array(["a", "b"]), "must hold lists of float, got string"),
    ],
    ids=str,
)
def test_parquet_columns_that_hold_no_rows_are_told(tmp_path, column, words):
    pq.write_table(pa.table({"id": ["a", "b"], "embedding": column}), tmp_path / "r.parquet")
    assert words in complaint(tmp_path / "r.parquet")


@pytest.mark.parametrize(
    ("name", "words"),
    [("r.csv", "ends in '.csv'; embeddings are .npy"), ("r", "has no ending"), ("r.npy", "does not exist")],
)
def test_a_name_that_is_no_embeddings_file_is_told(tmp_path, name, words):
    assert words in complaint(tmp_path / name)


def test_a_folder_is_no_embeddings_file(tmp_path):
    (tmp_path / "r.npy").mkdir()
    assert "is a folder" in complaint(tmp_path / "r.npy")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "x"}', '{"format": "asl_fast embeddings", "version": 1}']
)
def test_broken_metadata_is_told(tmp_path, text):
    write_embeddings(tmp_path / "r.npy", make())
    (tmp_path / "r.meta.json").write_text(text)
    assert "r.meta.json" in complaint(tmp_path / "r.npy")


def test_metadata_tells_how_the_rows_were_made(tmp_path):
    write_embeddings(tmp_path / "r.npy", make(), made_by={"model": "default", "edge_px": 224})
    meta = json.loads((tmp_path / "r.meta.json").read_text())
    assert (meta["model"], meta["edge_px"], meta["num_rows"], meta["num_dims"]) == ("default", 224, 5, 4)


FULL_DISK = """
import resource, sys
import numpy as np
from asl_fast.embeddings import write_embeddings
from asl_fast.errors import run_command
from asl_fast.records import Embeddings
rows = np.random.default_rng(1).standard_normal((4000, 64)).astype(np.float32)
made = Embeddings(ids=[str(row) for row in range(4000)], row_ND=rows)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
raise SystemExit(run_command("embed", lambda args: bool(write_embeddings(sys.argv[1], made)), None))
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_leaves_the_old_file_and_one_line(tmp_path, suffix):
    old = make(3)
    write_embeddings(tmp_path / f"r{suffix}", old)
    before = (tmp_path / f"r{suffix}").read_bytes()
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / f"r{suffix}"], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1 and "File too large" in ended.stderr
    assert (tmp_path / f"r{suffix}").read_bytes() == before
    assert not list(tmp_path.glob(".*")), "temporary files stay"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_headers_that_tell_of_more_than_the_file_holds_are_refused_unread(tmp_path):
    head = b"\x93NUMPY\x01\x00"
    for shape in [
        "(1099511627776, 4)",
        "(9223372036854775807, 9223372036854775807)",
        "(0, 9223372036854775807)",
    ]:
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode()
        lying = head + len(header).to_bytes(2, "little") + header + bytes(64)
        (tmp_path / "r.npy").write_bytes(lying)
        with zipfile.ZipFile(tmp_path / "r.npz", "w") as archive:
            archive.writestr("rows.npy", lying)
        for name in ("r.npy", "r.npz"):
            assert name in complaint(tmp_path / name)
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("vectors", (1 << 40, 4), "<f4", chunks=(1024, 4))
    assert "tells of 17592186044416 bytes" in complaint(tmp_path / "r.h5")


def test_a_broken_heap_of_texts_does_not_hang_the_reader(tmp_path):
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("vectors", data=make().row_ND)
        file.create_dataset("image_names", data=list("abcde"), dtype=h5py.string_dtype())
    assert list(read_embeddings(tmp_path / "r.h5").ids) == list("abcde")
    data = bytearray((tmp_path / "r.h5").read_bytes())
    first_piece = data.index(b"GCOL") + 16
    data[first_piece : first_piece + 16] = bytes(16)
    (tmp_path / "r.h5").write_bytes(data)
    assert "damaged (the texts at byte" in complaint(tmp_path / "r.h5")


def test_an_hdf5_chunk_without_room_for_its_checksum_is_one_line(tmp_path):
    write_embeddings(tmp_path / "r.h5", make())
    with h5py.File(tmp_path / "r.h5") as file:
        size = file["vectors"].id.get_chunk_info(0).size
        address = file["vectors"].id.get_chunk_info(0).byte_offset
    data = (tmp_path / "r.h5").read_bytes()
    entry = (
        data.index(address.to_bytes(8, "little")) - 8 * 3 - 8
    )  # of the index: size, mask, offsets, address
    assert int.from_bytes(data[entry : entry + 4], "little") == size
    for told in (0, 3):
        (tmp_path / "r.h5").write_bytes(data[:entry] + told.to_bytes(4, "little") + data[entry + 4 :])
        assert f"has {told} bytes" in complaint(tmp_path / "r.h5")
