"""The work folder: what a crash leaves is cut off, whatever it is; and the list of failures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from asl_fast.embeddings import PartialRows, read_failures, write_failures
from asl_fast.errors import InputError

PLAN = {"version": 1, "model": "x"}


def rows(number: int) -> np.ndarray:
    return np.full((2, 3), number + 1, np.float32)


def fill(out, num_batches: int) -> None:
    with PartialRows(out, PLAN, 3) as partial:
        for number in range(partial.num_batches, num_batches):
            partial.append(rows(number), [(f"bad {number}", "p\ud800", "because\n")] if number == 1 else [])


def test_finished_batches_are_there_again(tmp_path):
    fill(tmp_path / "r.npy", 3)
    with PartialRows(tmp_path / "r.npy", PLAN, 3) as partial:
        assert (partial.num_batches, partial.num_rows, partial.started_anew) == (3, 6, False)
        assert partial.failures == [("bad 1", "p\ud800", "because\n")]
        np.testing.assert_array_equal(partial.rows(), np.concatenate([rows(0), rows(1), rows(2)]))


@pytest.mark.parametrize("name", ["rows.f32", "done.jsonl"])
def test_a_file_torn_at_any_byte_is_made_good(tmp_path, name):
    out = tmp_path / "r.npy"
    fill(out, 3)
    whole = {file: (tmp_path / "r.npy.partial" / file).read_bytes() for file in ("rows.f32", "done.jsonl")}
    for length in range(len(whole[name])):
        for file, data in whole.items():
            (tmp_path / "r.npy.partial" / file).write_bytes(data)
        (tmp_path / "r.npy.partial" / name).write_bytes(whole[name][:length])
        with PartialRows(out, PLAN, 3) as partial:
            assert partial.num_batches < 3
        fill(out, 3)
        assert {file: (tmp_path / "r.npy.partial" / file).read_bytes() for file in whole} == whole


def test_rows_that_lost_their_bytes_in_a_crash_are_made_again(tmp_path):
    fill(tmp_path / "r.npy", 3)
    path = tmp_path / "r.npy.partial" / "rows.f32"
    path.write_bytes(path.read_bytes()[:24] + bytes(48))
    with PartialRows(tmp_path / "r.npy", PLAN, 3) as partial:
        assert partial.num_batches == 1


@pytest.mark.parametrize(
    "line", ["null", "{}", '{"batch": 0}', "garbage", '{"batch": 0, "rows": -1, "crc32": 0}']
)
def test_a_line_that_is_none_ends_the_work_done(tmp_path, line):
    fill(tmp_path / "r.npy", 2)
    (tmp_path / "r.npy.partial" / "done.jsonl").write_text(line + "\n")
    with PartialRows(tmp_path / "r.npy", PLAN, 3) as partial:
        assert partial.num_batches == 0


def test_another_plan_starts_anew_and_says_so(tmp_path):
    fill(tmp_path / "r.npy", 2)
    with PartialRows(tmp_path / "r.npy", {**PLAN, "model": "y"}, 3) as partial:
        assert partial.started_anew and partial.num_batches == 0


def test_two_runs_do_not_share_a_folder(tmp_path):
    with (
        PartialRows(tmp_path / "r.npy", PLAN, 3),
        pytest.raises(InputError, match="another embed that is still"),
    ):
        PartialRows(tmp_path / "r.npy", PLAN, 3)
    fill(tmp_path / "r.npy", 1)


def test_finishing_removes_the_folder(tmp_path):
    with PartialRows(tmp_path / "r.npy", PLAN, 3) as partial:
        partial.append(rows(0), [])
        partial.finish()
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Bad:
    id: str
    path: str
    reason: str


def test_one_list_serves_two_outputs(tmp_path):
    path = tmp_path / "failures.csv"
    write_failures(path, tmp_path / "refs.npy", [Bad("a", 'x,"y"\n', "why")])
    write_failures(path, tmp_path / "queries.npy", [Bad("b", "\udc80", "=1+1")])
    write_failures(path, tmp_path / "refs.npy", [Bad("c", "z", "why")])
    assert read_failures(path) == [["queries.npy", "b", "\\udc80", "=1+1"], ["refs.npy", "c", "z", "why"]]
    assert path.read_text().startswith("output,id,path,reason\n")
    write_failures(path, tmp_path / "refs.npy", [])
    assert len(read_failures(path)) == 1
    write_failures(path, tmp_path / "queries.npy", [])
    assert not path.exists()


@pytest.mark.parametrize("data", [b"name,score\nx,1\n", b"\xff\xff", b"output,id,path,reason\nx\n"])
def test_another_table_is_not_overwritten(tmp_path, data):
    (tmp_path / "failures.csv").write_bytes(data)
    with pytest.raises(InputError, match="is no list of failures"):
        write_failures(tmp_path / "failures.csv", tmp_path / "r.npy", [])
    assert (tmp_path / "failures.csv").read_bytes() == data
