"""A folder is there whole, or not at all."""

import os
import subprocess
import sys

import pytest

from asl_fast.challenge import whole_folder
from asl_fast.errors import InputError


def test_what_was_written_appears_at_the_end(tmp_path):
    with whole_folder(tmp_path / "deep" / "out") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "deep" / "out").exists()
    assert (tmp_path / "deep" / "out" / "file").read_text() == "x"
    assert os.listdir(tmp_path / "deep") == ["out"]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_nothing(tmp_path, problem):
    def fails():
        with whole_folder(tmp_path / "out") as folder:
            (folder / "file").write_text("x")
            raise problem

    with pytest.raises(problem):
        fails()
    assert os.listdir(tmp_path) == []


def test_a_killed_run_leaves_nothing_under_the_name_and_the_next_starts_afresh(tmp_path):
    code = (
        "import os, signal, sys\nfrom asl_fast.challenge.folder import whole_folder\n"
        "with whole_folder(sys.argv[1]) as folder:\n"
        "    (folder / 'old').mkdir()\n    (folder / 'old' / 'file').touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "out"]).returncode == -9
    assert os.listdir(tmp_path) == ["out.partial"]
    with whole_folder(tmp_path / "out") as folder:
        assert os.listdir(folder) == []
    assert os.listdir(tmp_path) == ["out"]


def test_two_runs_do_not_make_one_folder(tmp_path):
    with whole_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("x")
        with pytest.raises(InputError, match="another run is making it"), whole_folder(tmp_path / "out"):
            pass
        assert (folder / "file").read_text() == "x"


def test_what_is_there_is_left_as_it_is(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("file", "."):
        with pytest.raises(InputError, match="is there already"), whole_folder(tmp_path / name):
            pass
    with pytest.raises(InputError, match="can't be made"), whole_folder(tmp_path / "file" / "out"):
        pass
    assert os.listdir(tmp_path) == ["file"]
