"""Sources of every kind give the same files in the same order, or one line that says what is wrong."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from picture_bytes import photo, saved

from asl_fast.errors import InputError
from asl_fast.images import Framing, Resize, decode, find_images, load_batches, printable

JPEG = saved(photo(), "JPEG")


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG)


def put_tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def ids(source: object, **options: str) -> list[str]:
    return [file.id for file in find_images(source, **options)]  # type: ignore[arg-type]


def complaint(source: object, **options: str) -> str:
    with pytest.raises(InputError) as caught:
        find_images(source, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text and (";" in text or ":" in text)
    return text


def test_folder_is_read_with_its_subfolders_in_sorted_order(tmp_path: Path) -> None:
    put(tmp_path, "b.JPG", "a/z.png", "a/y.Jpeg", "c.webp", "B.gif", "d.tiff")
    assert ids(tmp_path) == ["B", "y", "z", "b", "c", "d"]
    assert ids(tmp_path, ids="path") == ["B.gif", "a/y.Jpeg", "a/z.png", "b.JPG", "c.webp", "d.tiff"]


def test_hidden_files_and_other_kinds_are_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", ".b.jpg", ".git/c.jpg", "d.txt", "e.jpg.part", "f.pdf", "g.eps", "jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert ids(tmp_path) == ["a"]


def test_link_loops_end_and_no_folder_counts_twice(tmp_path: Path) -> None:
    put(tmp_path, "a/one.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert ids(tmp_path) == ["one"]


def test_link_to_nothing_becomes_a_failure_not_a_gap(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone")
    batch = next(
        load_batches(
            find_images(tmp_path), Framing(resizes=(Resize(edge_px=8),)), batch_size=4, num_threads=1
        )
    )
    assert [failure.id for failure in batch.failures] == ["b"]
    assert "No such file" in batch.failures[0].reason


def test_single_picture_needs_no_telling_extension(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "noname")
    assert ids(tmp_path / "a.jpg") == ["a"] and ids(tmp_path / "noname") == ["noname"]
    assert ids(tmp_path / "a.jpg", ids="path") == ["a.jpg"]


def test_list_is_relative_to_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "pics/a.jpg", "b.jpg")
    (tmp_path / "list.txt").write_bytes(
        b"\xef\xbb\xbfpics/a.jpg\r\n\r\n" + os.fsencode(tmp_path / "b.jpg") + b"\ngone.jpg"
    )
    monkeypatch.chdir("/")
    files = find_images(tmp_path / "list.txt")
    assert [file.id for file in files] == ["a", "b", "gone"]
    assert files[0].read() == JPEG and files[1].read() == JPEG
    with pytest.raises(FileNotFoundError):
        files[2].read()


def test_csv_with_bom_and_crlf_and_quotes_is_read(tmp_path: Path) -> None:
    put(tmp_path, "a,b.jpg", "c.jpg")
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfid,path,more\r\nx,"a,b.jpg",1\r\ny,c.jpg,2\r\n\r\n')
    files = find_images(tmp_path / "t.csv")
    assert [(file.id, file.read()) for file in files] == [("x", JPEG), ("y", JPEG)]
    assert ids(tmp_path / "t.csv", ids="path") == ["a,b.jpg", "c.jpg"]


def test_csv_without_ids_takes_stems(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path\nx/a.jpg\nb.jpg\n")
    assert ids(tmp_path / "t.csv") == ["a", "b"]


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()]
)
def test_parquet_columns_are_read(tmp_path: Path, kind: pa.DataType) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    paths = pa.array([b"a.jpg", b"b.jpg"] if kind == pa.binary() else ["a.jpg", "b.jpg"]).cast(kind)
    pq.write_table(pa.table({"path": paths, "id": [7, 8], "other": [[1], [2]]}), tmp_path / "t.parquet")
    files = find_images(tmp_path / "t.parquet")
    assert [(file.id, file.read()) for file in files] == [("7", JPEG), ("8", JPEG)]


@pytest.mark.parametrize(
    ("header", "row", "said"),
    [
        ("file,size", "a,1", "must have a column named 'path', its columns are 'file', 'size'"),
        ("", "", "must have a column named 'path', its columns are none"),
        ("path,id", "a.jpg", "line 2 has 1 cells but the header has 2"),
        ("path,id", ",x", "line 2 has an empty path"),
        ("path,id", "a.jpg,", "line 2 has an empty id"),
        ("path", '"' + "x" * 200_000 + '"', "is not CSV"),
        ("path", "", "names no images"),
    ],
)
def test_bad_csv_is_told_in_one_line(tmp_path: Path, header: str, row: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n{row}\n")
    text = complaint(tmp_path / "t.csv", argument="--queries")
    assert text.startswith("--queries ") and said in text


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"file": ["a"]}, "must have a column named 'path'"),
        ({"path": [1]}, "must hold text, it holds int64"),
        ({"path": ["a", None]}, "row 1 has an empty path"),
        ({"path": ["a"], "id": pa.array([None], pa.string())}, "row 0 has an empty id"),
    ],
)
def test_bad_parquet_is_told_in_one_line(tmp_path: Path, table: dict, said: str) -> None:
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert said in complaint(tmp_path / "t.parquet")


def test_file_that_is_no_parquet_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nonsense")
    assert "is not a readable Parquet file" in complaint(tmp_path / "t.parquet")


def test_shard_members_are_read_in_place(tmp_path: Path) -> None:
    png = saved(photo(), "PNG")
    shard = put_tar(
        tmp_path / "s.tar",
        {
            "x/0.jpg": JPEG,
            "x/0.json": b"{}",
            "x/0.cls": b"1",
            "1.v2.PNG": png,
            "._2.jpg": b"",
            "../up.webp": JPEG,
        },
    )
    files = find_images(shard)
    assert [file.id for file in files] == ["0", "1.v2", "up"]
    assert [file.read() for file in files] == [JPEG, png, JPEG]
    assert files[0].shown_path == f"{shard}/x/0.jpg"
    assert ids(shard, ids="path") == ["s.tar/x/0.jpg", "s.tar/1.v2.PNG", "s.tar/../up.webp"]


def test_brace_ranges_and_lists_name_shards_in_order(tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
        for number in range(3):
            put_tar(tmp_path / part / f"s-{number:03}.tar", {f"{part}{number}.jpg": JPEG})
    pattern = f"{tmp_path}/{{val,train}}/s-{{001..002}}.tar"
    assert ids(pattern) == ["val1", "val2", "train1", "train2"]
    assert ids(pattern, ids="path")[0] == "val/s-001.tar/val1.jpg"
    assert "there is no shard" in complaint(f"{tmp_path}/val/s-{{001..003}}.tar")


def test_same_key_in_two_shards_needs_path_ids(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        put_tar(tmp_path / name, {"0.jpg": JPEG})
    text = complaint(f"{tmp_path}/{{a,b}}.tar")
    assert "a.tar/0.jpg" in text and "b.tar/0.jpg" in text and "--ids path" in text
    assert ids(f"{tmp_path}/{{a,b}}.tar", ids="path") == ["a.tar/0.jpg", "b.tar/0.jpg"]


@pytest.mark.parametrize(
    "pattern", ["{a.tar", "a}.tar", "{a,{b,c}}.tar", "{3..1}.tar", "{0..99999999999}.tar"]
)
def test_bad_braces_are_told_in_one_line(pattern: str) -> None:
    assert "brace" in complaint(pattern) or "range" in complaint(pattern)


def test_many_braces_do_not_fill_the_memory() -> None:
    assert "at most 100000" in complaint("{0..999}{0..999}{0..999}{0..999}.tar")


@pytest.mark.parametrize("left", [100, 512 + 100, 512 * 3, 512 * 4 + 200, -10240 + 4096])
def test_truncated_shard_is_told_before_work_starts(tmp_path: Path, left: int) -> None:
    shard = put_tar(tmp_path / "s.tar", {f"{number}.jpg": b"x" * 700 for number in range(4)})
    whole = shard.read_bytes()
    shard.write_bytes(whole[:left])
    text = complaint(shard)
    assert "tar file" in text or "cut off" in text


def test_shard_cut_between_members_is_told(tmp_path: Path) -> None:
    shard = put_tar(tmp_path / "s.tar", {"0.jpg": b"x" * 512, "1.jpg": b"x" * 512})
    shard.write_bytes(shard.read_bytes()[:1024])
    assert "cut off after 1 images" in complaint(shard)


def test_shard_with_a_damaged_header_is_told(tmp_path: Path) -> None:
    shard = put_tar(tmp_path / "s.tar", {"0.jpg": b"x" * 512, "1.jpg": b"x" * 512})
    data = bytearray(shard.read_bytes())
    data[1024 + 148] ^= 0xFF
    shard.write_bytes(data)
    assert "damaged or goes on" in complaint(shard)


def test_joined_shards_are_not_read_short(tmp_path: Path) -> None:
    one = put_tar(tmp_path / "a.tar", {"0.jpg": JPEG}).read_bytes()
    (tmp_path / "both.tar").write_bytes(one + put_tar(tmp_path / "b.tar", {"1.jpg": JPEG}).read_bytes())
    assert "goes on after" in complaint(tmp_path / "both.tar")


def test_shard_that_shrinks_later_is_a_failed_read(tmp_path: Path) -> None:
    shard = put_tar(tmp_path / "s.tar", {"0.jpg": JPEG})
    (file,) = find_images(shard)
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(OSError, match="shorter"):
        file.read()


def test_bad_sources_are_told_in_one_line(tmp_path: Path) -> None:
    put(tmp_path, "two/a.jpg", "two/a.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "shards").mkdir()
    put_tar(tmp_path / "shards" / "s.tar", {"0.jpg": JPEG})
    (tmp_path / "text.md").write_text("hello")
    (tmp_path / "none.txt").write_text("\n\n")
    (tmp_path / "s.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "text.tar").write_text("hello")
    said = {
        "gone": "there is no such file or folder",
        "empty": "folder holds no images",
        "shards": "name the shards",
        "text.md": "is neither an image nor a list",
        "none.txt": "names no images",
        "s.tar.gz": "unpack it to .tar first",
        "text.tar": "is not a whole tar file",
        "gone.tar": "there is no shard",
        "two": "give each its path as id with --ids path",
        "x" * 5000: "there is no such file",
        "a\0b": "there is no such file",
        "new\nline": r"new\x0aline",
    }
    for name, text in said.items():
        assert text in complaint(f"{tmp_path}/{name}", argument="--refs")
    assert ids(tmp_path / "two", ids="path") == ["a.jpg", "a.png"]


def test_file_named_twice_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("a.jpg\na.jpg\n")
    assert "name each file once" in complaint(tmp_path / "l.txt", ids="path")


HOSTILE_NAMES = {
    b"new\nline.jpg": r"new\x0aline",
    b"'\"<script>alert(1)</script>".replace(b"/", b"|") + b".jpg": "'\"<script>alert(1)<|script>",
    b"\xff\xfe.jpg": r"\xff\xfe",
    b"tab\tbell\x07del\x7f.jpg": r"tab\x09bell\x07del\x7f",
    "line\u2028nel\u0085par\u2029.jpg".encode(): r"line\u2028nel\x85par\u2029",
    "名前 é.jpg".encode(): "名前 é",
    b"n" * 240 + b".jpg": "n" * 240,
    b"-rf --out.jpg": "-rf --out",
    b"%s{0}$HOME.jpg": "%s{0}$HOME",
}


def test_hostile_names_stay_one_line_of_text_and_are_read(tmp_path: Path) -> None:
    for name in HOSTILE_NAMES:
        (tmp_path / os.fsdecode(name)).write_bytes(JPEG)
    files = find_images(tmp_path)
    assert sorted(file.id for file in files) == sorted(HOSTILE_NAMES.values())
    for file in files:
        assert file.read() == JPEG
        for text in (file.id, file.shown_path):
            assert len(text.splitlines()) == 1 and text.encode("utf-8")


def test_names_that_are_not_utf8_survive_lists(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.jpg")).write_bytes(JPEG)
    (tmp_path / "l.txt").write_bytes(b"\xff.jpg\n")
    (tmp_path / "t.csv").write_bytes(b"path\n\xff.jpg\n")
    pq.write_table(pa.table({"path": pa.array([b"\xff.jpg"])}), tmp_path / "t.parquet")
    for name in ("l.txt", "t.csv", "t.parquet"):
        (file,) = find_images(tmp_path / name)
        assert file.id == r"\xff" and np.asarray(decode(file.read())).shape == (40, 60, 3)


def test_lone_surrogate_is_escaped() -> None:
    assert printable("a\ud800b") == r"a\ud800b" and printable("plain é") == "plain é"


def test_ids_must_be_stem_or_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'stem' or 'path', got 'name'"):
        find_images(tmp_path, ids="name")


@pytest.mark.parametrize("name", ["fifo.jpg", "folder.jpg", "zero\0byte.jpg"])
def test_listed_path_that_is_no_regular_file_fails_to_read_without_waiting(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo.jpg")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "l.txt").write_text(name + "\n")
    (file,) = find_images(tmp_path / "l.txt")
    with pytest.raises(OSError, match=r"(?i)regular|directory|zero byte"):
        file.read()


def test_file_above_the_size_limit_fails_to_read(tmp_path: Path) -> None:
    with open(tmp_path / "big.jpg", "wb") as file:
        file.truncate((1 << 30) + 1)  # a hole: takes no room
    with pytest.raises(OSError, match="above the limit"):
        find_images(tmp_path / "big.jpg")[0].read()
