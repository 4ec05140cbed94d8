"""Pairs sorted on disk and written: the same bytes as when all are judged in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.matching import judge, read_matches, write_matches, write_pairs
from asl_fast.records import Embeddings, Pairs


def side(letter: str, number: int, rng: np.random.Generator) -> Embeddings:
    """Ids that Python and NumPy might sort differently, in no order."""
    ids = [f"{letter}{name}" for name in ("\x00", "", "10", "9", "é", "𝄞", "a,b", "\r")]
    ids += [f"{letter}{name}" for name in range(11, number + 3)]
    ids = [ids[place] for place in rng.permutation(len(ids))][:number]
    return Embeddings(ids=ids, row_ND=rng.uniform(1, 2, (number, 2)).astype(np.float32))


def some_pairs(num_pairs: int, queries: Embeddings, refs: Embeddings, rng: np.random.Generator) -> Pairs:
    """Distinct pairs with few different scores: ties within a query, and across queries."""
    cell_M = rng.choice(len(queries) * len(refs), num_pairs, replace=False)
    query_row_M, ref_row_M = np.divmod(cell_M, len(refs))
    return Pairs(
        query_row_M=query_row_M,
        ref_row_M=ref_row_M,
        score_M=rng.integers(0, 4, num_pairs) / 4,
        ratio_M=queries.norm_N[query_row_M] / refs.norm_N[ref_row_M],
    )


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    num_pairs=st.sampled_from([0, 1, 5, 60, 400]),
    num_batches=st.integers(1, 9),
    run_pairs=st.sampled_from([1, 3, 20, 100, 10_000]),
)
def test_any_cut_into_batches_and_runs_gives_the_file_of_one_piece(
    tmp_path_factory: pytest.TempPathFactory, seed: int, num_pairs: int, num_batches: int, run_pairs: int
) -> None:
    rng = np.random.default_rng(seed)
    queries, refs = side("q", 30, rng), side("r", 20, rng)
    pairs = some_pairs(num_pairs, queries, refs, rng)
    batch_of_Q = rng.integers(0, num_batches, 30)
    batches = [pairs[batch_of_Q[pairs.query_row_M] == batch] for batch in range(num_batches)]
    folder = tmp_path_factory.mktemp("matches")
    matches = judge(pairs, queries, refs, 0.9)
    write_matches(folder / "whole.csv", matches)
    written = write_pairs(
        folder / "parts.csv", iter(batches), queries, refs, 0.9, num_best=7, run_pairs=run_pairs
    )
    assert (folder / "parts.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert len(read_matches(folder / "parts.csv")) == written.num_matches == num_pairs
    assert written.num_copies == list(matches.verdict_M).count("copy")
    np.testing.assert_array_equal(written.num_found_Q, np.bincount(pairs.query_row_M, minlength=30))
    assert list(written.best.reference_id_M) == list(matches.reference_id_M)[:7]
    assert sorted(path.name for path in folder.iterdir()) == ["parts.csv", "whole.csv"]


def test_a_search_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    queries, refs = side("q", 10, rng), side("r", 10, rng)

    def broken():
        yield some_pairs(20, queries, refs, rng)
        raise RuntimeError("lost")

    (tmp_path / "m.csv").write_text("old")
    with pytest.raises(RuntimeError, match="lost"):
        write_pairs(tmp_path / "m.csv", broken(), queries, refs)
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]
    assert (tmp_path / "m.csv").read_text() == "old"


def test_pairs_of_other_queries_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    queries, refs = side("q", 10, rng), side("r", 10, rng)
    pairs = some_pairs(20, queries, refs, rng)
    pairs.ref_row_M[0] = 19
    with pytest.raises(ValueError, match="reference row 19 but embeddings has 10 rows"):
        write_pairs(tmp_path / "m.csv", [pairs], queries, refs)


MANY = """
import sys
import numpy as np
from asl_fast.matching import write_pairs
from asl_fast.records import Embeddings, Pairs
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) >> 10
rng = np.random.default_rng(0)
row_ND = rng.uniform(1, 2, (10_000, 2)).astype(np.float32)
rows = Embeddings(ids=[f"picture{row:06}" for row in range(10_000)], row_ND=row_ND)
def batches(num_queries):
    for first in range(0, num_queries, 100):
        query_row_M = np.repeat(np.arange(first, first + 100), 1000)
        ref_row_M = np.tile(np.arange(1000), 100) * 7
        score_M = rng.integers(0, 10**6, 100_000) / 10**6
        ratio_M = rows.norm_N[query_row_M] / rows.norm_N[ref_row_M]
        yield Pairs(query_row_M=query_row_M, ref_row_M=ref_row_M, score_M=score_M, ratio_M=ratio_M)
def run(number):
    written = write_pairs(sys.argv[1], batches(number // 1000), rows, rows)
    assert written.num_matches == number
"""


@pytest.mark.slow
def test_ten_million_matches_are_written_in_the_memory_of_a_million(tmp_path: Path) -> None:
    code = MANY + "run(1_500_000); before = peak(); run(10_000_000); print(peak() - before)"
    command = [sys.executable, "-c", code, str(tmp_path / "m.csv")]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(shown) < 60
    score_M = np.loadtxt(tmp_path / "m.csv", delimiter=",", skiprows=1, usecols=2, max_rows=3_000_000)
    assert (np.diff(score_M) <= 0).all()


@pytest.mark.slow
def test_killed_while_it_writes_the_old_file_stands_and_the_runs_are_gone(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("old")
    command = [
        sys.executable,
        "-c",
        MANY + "print('go', flush=True); run(10_000_000)",
        str(tmp_path / "m.csv"),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not any(path.stat().st_size > 1 << 20 for path in tmp_path.iterdir()):  # text is being written
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    assert (tmp_path / "m.csv").read_text() == "old"
    litter = [path for path in tmp_path.iterdir() if path.name != "m.csv"]
    assert all(path.name.startswith(".m.csv.") and path.name.endswith(".tmp") for path in litter)
    assert len(litter) == 1, "the text on its way; the sorted runs had no name"
