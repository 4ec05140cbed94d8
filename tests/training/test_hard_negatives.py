"""Hard-negative pairs as they lie on disk, and what is said of those that are wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from asl_fast.errors import InputError
from asl_fast.images import ImageFile
from asl_fast.training import FilePair, read_pairs
from asl_fast.training.joining import joined
from asl_fast.training.pairs import number_pairs
from asl_fast.training.photo_set import Pair


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


@pytest.fixture
def folder(tmp_path):
    for name in "abcd":
        picture(tmp_path / f"img/{name}.jpg")
    return tmp_path


def read_table(folder, text, name="pairs.csv"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return [(pair.a.id, pair.b.id, pair.order) for pair in read_pairs(str(folder / name))]


def test_table_says_which_photo_is_no_copy(folder):
    told = "file_a,file_b,direction\nimg/a.jpg,img/b.jpg,a_over_b\nimg/b.jpg,img/c.jpg,b_over_a\n"
    told += "img/c.jpg,img/d.jpg,none\nimg/a.jpg,img/d.jpg,\nimg/a.jpg,img/c.jpg\n"
    assert read_table(folder, told) == [
        ("img/a.jpg", "img/b.jpg", 1),
        ("img/b.jpg", "img/c.jpg", -1),
        ("img/c.jpg", "img/d.jpg", 0),
        ("img/a.jpg", "img/d.jpg", 0),
        ("img/a.jpg", "img/c.jpg", 0),
    ]


def test_labelled_table_with_other_columns_is_read_too(folder):
    told = b"\xef\xbb\xbfa,b,label,kind,sscd\r\nimg/a.jpg,img/b.jpg,not_copy,look-alike,0.024\r\n\r\n"
    assert read_table(folder, told) == [("img/a.jpg", "img/b.jpg", 0)]


def test_paths_count_from_the_tables_folder_whatever_the_current_one_is(
    folder, monkeypatch, tmp_path_factory
):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(read_table(folder, f"a,b\nimg/a.jpg,{folder}/img/b.jpg\n")) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\nimg/a.jpg,img/z.jpg\n", r"pairs\.csv line 2: there is no file 'img/z\.jpg'; paths count from"),
        ("a,b\nimg/a.jpg,\n", r"line 2: there is no file ''"),
        ("a,b\nimg/a.jpg,img\n", r"line 2: there is no file 'img'"),
        ("a,b\nimg/a.jpg\n", r"line 2: has 1 cells, fewer than the header"),
        (
            "a,b\nimg/a.jpg,img/./a.jpg\n",
            r"line 2: both are the same file, .*a\.jpg; a pair is of two photos",
        ),
        ("a,b,direction\nimg/a.jpg,img/b.jpg,left\n", r"line 2: direction must be a_over_b, .* got 'left'"),
        ("a,b,label\nimg/a.jpg,img/b.jpg,copy\n", r"line 2: label must be not_copy or empty, got 'copy'"),
        ("x,y\nimg/a.jpg,img/b.jpg\n", r"line 1: the header must name file_a and file_b .* got 'x,y'"),
        ("img/a.jpg,img/b.jpg,none\n", r"line 1: the header must name file_a and file_b"),
        ("a,b\n", r"pairs\.csv: holds no pairs"),
        ("", r"pairs\.csv: holds no pairs"),
        (
            "a,b,direction\nimg/a.jpg,img/b.jpg,none\n\nimg/b.jpg,img/a.jpg,a_over_b\n",
            r"line 4: gives the pair of .*line 2 another direction",
        ),
        ("a,b\nimg/a.jpg,img/\0.jpg\n", r"line 2: there is no file 'img/\\x00\.jpg'"),
    ],
)
def test_wrong_line_is_named_with_its_number(folder, text, complaint):
    with pytest.raises(InputError, match=complaint) as told:
        read_table(folder, text)
    assert "\n" not in str(told.value) and str(told.value).startswith("--pairs ")


def test_text_that_is_no_table_is_named(folder):
    with pytest.raises(ValueError, match=r"pairs\.csv line 2: is not CSV"):
        read_table(folder, 'a,b\n"img/a.jpg,img/b.jpg\n')
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_table(folder, b"a,b\nimg/\xff.jpg,img/b.jpg\n")


def test_pair_that_is_told_twice_alike_counts_once(folder):
    told = ["a,b,direction", "img/a.jpg,img/b.jpg,a_over_b", "img/b.jpg,img/a.jpg,b_over_a"]
    assert read_table(folder, "\n".join([*told, told[1], ""])) == [("img/a.jpg", "img/b.jpg", 1)]


def test_link_to_the_other_photo_is_the_same_file(folder):
    (folder / "img/link.jpg").symlink_to(folder / "img/a.jpg")
    with pytest.raises(InputError, match="both are the same file"):
        read_table(folder, "a,b\nimg/a.jpg,img/link.jpg\n")


def test_source_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--pairs .*none\.csv: there is no such file or folder"):
        read_pairs(str(tmp_path / "none.csv"))


@pytest.fixture
def ndec(tmp_path):
    for number in (10, 9, 100):
        picture(tmp_path / f"negative_pair/{number}/T{number:06d}.jpg")
        picture(tmp_path / f"negative_pair/{number}/0a{number}f.jpg")
    (tmp_path / "negative_pair/.hidden").mkdir()
    (tmp_path / "negative_pair/9/notes.txt").write_text("looked at")
    return tmp_path


@pytest.mark.parametrize("inner", ["", "negative_pair"])
def test_ndec_folders_are_read_in_the_order_of_their_numbers(ndec, inner):
    pairs = read_pairs(str(ndec / inner))
    assert [(pair.a.id, pair.b.id) for pair in pairs] == [
        (f"{number}/T{number:06d}.jpg", f"{number}/0a{number}f.jpg") for number in (9, 10, 100)
    ]
    assert all(pair.a.read() for pair in pairs)


def test_ndec_order_says_which_norm_should_be_the_larger(ndec):
    assert {pair.order for pair in read_pairs(str(ndec))} == {-1}
    assert {pair.order for pair in read_pairs(str(ndec), ndec_order="other-over-t")} == {-1}
    assert {pair.order for pair in read_pairs(str(ndec), ndec_order="t-over-other")} == {1}
    with pytest.raises(ValueError, match="ndec_order must be one of other-over-t, t-over-other, got 'both'"):
        read_pairs(str(ndec), ndec_order="both")


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda place: (place / "T000010.jpg").unlink(), r"got 0a10f\.jpg"),
        (lambda place: picture(place / "third.png"), r"got 0a10f\.jpg, T000010\.jpg, third\.png"),
        (
            lambda place: (place / "0a10f.jpg").rename(place / "T000011.jpg"),
            r"got T000010\.jpg, T000011\.jpg",
        ),
        (lambda place: (place / "T000010.jpg").rename(place / "Tree.jpg"), r"got 0a10f\.jpg, Tree\.jpg"),
        (lambda place: [file.unlink() for file in place.iterdir()], "got none"),
    ],
)
def test_wrong_ndec_folder_is_named(ndec, change, got):
    change(ndec / "negative_pair/10")
    with pytest.raises(InputError, match=rf"negative_pair/10 must hold two pictures, one of them T .* {got}"):
        read_pairs(str(ndec))


def test_folder_without_pairs_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no pairs"):
        read_pairs(str(tmp_path))


def test_photos_of_pairs_are_found_among_the_images_by_their_path(folder):
    images = [ImageFile("b", str(folder / "img/b.jpg")), ImageFile("x", "shard.tar", member="img/a.jpg")]
    a, b, c = (ImageFile(name, f"{folder}/img/../img/{name}.jpg") for name in "abc")
    listed, pairs = number_pairs(images, [FilePair(a, b, 1, ""), FilePair(c, a, 0, "")])
    assert listed == [*images, a, c]
    assert pairs == [Pair(2, 0, 1), Pair(3, 2, 0)]


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))
    )
)
def test_joined_items_are_those_a_walk_reaches(case):
    num, links = case
    set_N = joined(num, links)
    reached = {item: {item} for item in range(num)}
    for _ in range(num):
        for one, other in links:
            union = reached[one] | reached[other]
            for item in union:
                reached[item] = reached[item] | union
    for one in range(num):
        assert {other for other in range(num) if set_N[other] == set_N[one]} == reached[one]
    firsts = [int(set_N[item]) for item in range(num) if item == min(reached[item])]
    assert firsts == list(range(len(firsts)))


def test_set_that_would_grow_too_large_is_not_joined():
    assert joined(5, [(0, 1), (1, 2), (3, 4), (2, 3)], most=2).tolist() == [0, 0, 1, 2, 2]
    assert joined(5, [(0, 1), (1, 2), (3, 4), (2, 3)], most=3).tolist() == [0, 0, 0, 1, 1]
    assert joined(5, [(0, 1), (1, 2), (3, 4), (2, 3)], most=5).tolist() == [0] * 5
