"""Groups and pairs are found by file, wherever their tables lie."""

import pytest

from asl_fast.challenge import Kinship, read_groups
from asl_fast.errors import InputError
from asl_fast.images import ImageFile


@pytest.fixture
def files(tmp_path):
    (tmp_path / "img").mkdir()
    for name in "abcd":
        (tmp_path / "img" / f"{name}.jpg").touch()
    (tmp_path / "link").symlink_to(tmp_path / "img")
    return [ImageFile(name, str(tmp_path / "link" / f"{name}.jpg")) for name in "abcd"]


def test_paths_count_from_the_tables_folder_and_links_are_followed(files, tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "\ufefffile,licence,Group\nimg/a.jpg,x,1\nimg/b.jpg,x,1\n\nimg/gone.jpg,x,1\nimg/d.jpg,x,2\n"
    )
    at = {file.id: str(tmp_path / "img" / f"{file.id}.jpg") for file in files}
    pairs = [(at["c"], at["d"]), (at["d"], at["c"]), (at["a"], "/elsewhere.jpg")]
    kinship = Kinship.of(files, read_groups(str(tmp_path / "manifest.csv")), pairs)
    assert kinship.group == ((0, 1), (0, 1), (2,), (3,))
    assert kinship.pairs == ((), (), (3,), (2,))
    assert kinship.kin(3) == {2} and kinship.kin(0) == {1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file\na.jpg\n", "line 1: the header must name file"),
        ("name,group\na.jpg,1\n", "line 1: the header must name file"),
        ("file,group\na.jpg\n", "line 2: has 1 cells"),
        ("file,group\na.jpg,1\nb.jpg, \n", "line 3: file and group must not be empty"),
        ("file,group\na.jpg,1\na.jpg,2\n", "line 3: a.jpg is in group 2 here and in 1 above"),
        ("file,group\n", "names no photo"),
    ],
)
def test_a_table_that_can_not_be_right_is_refused_with_its_line(tmp_path, text, said):
    (tmp_path / "groups.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_groups(str(tmp_path / "groups.csv"))


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--groups .*gone\.csv: there is no such file"):
        read_groups(str(tmp_path / "gone.csv"))
