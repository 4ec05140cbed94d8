"""Every pair above a score, as a stream: complete, in order, in bounded batches, ended when it is left."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast import Index
from asl_fast.kernels.ratio_search import DIRECTIONS
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.records import Pairs
from asl_fast.thresholds import SoftRatio


def rows(rng: np.random.Generator, number: int, kind: str) -> np.ndarray:
    """Small integers have many ties; of clustered queries some have no hit and some only hits."""
    row_ND = rng.integers(-2, 3, (number, 6)).astype(np.float32)
    if kind == "clustered":
        row_ND = np.where(np.arange(number)[:, None] % 7 < 2, 1, -1) + 0.1 * row_ND
    row_ND[~row_ND.any(axis=1), 0] = 1
    return row_ND.astype(np.float32)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["ties", "clustered"]),
    num_queries=st.sampled_from([0, 1, 3, 60, 700]),
    num_refs=st.sampled_from([1, 40, 300]),
    batch_pairs=st.sampled_from([1, 7, 400, 100_000]),
    min_score=st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.1, "each"]),
    direction=st.sampled_from(DIRECTIONS),
    num_threads=st.sampled_from([1, 3]),
)
def test_batches_together_are_every_pair_of_the_brute_force_in_order(
    seed: int, kind: str, num_queries: int, num_refs: int, batch_pairs: int,
    min_score: float | str, direction: str, num_threads: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    ref_ND, query_QD = rows(rng, num_refs, kind), rows(rng, num_queries, kind)
    tau_Q = rng.choice([0.5, 1.0, 1.5], num_queries)
    min_score_Q = rng.uniform(-1, 1, num_queries) if min_score == "each" else np.full(num_queries, min_score)
    shaped = {
        "bias": rng.choice([0.0, 0.5, -0.25, rng.uniform(-1, 1)], num_queries),
        "scale": rng.choice([1.0, 0.4, 2.5], num_queries),
        "soft": rng.choice(np.array([None, SoftRatio(weight=0.3, tau=0.8)])),
    }
    expected = plain.ratio_search(
        query_QD,
        ref_ND,
        query_norm_Q=plain.row_norms(query_QD),
        ref_norm_N=plain.row_norms(ref_ND),
        k=None,
        tau_Q=tau_Q,
        min_score=min_score_Q,
        direction=direction,
        **shaped,
    )
    query_row_M, slot_M = np.nonzero(expected[0] >= 0)
    index = Index(ref_ND, num_threads=num_threads)
    batches = list(
        index.pairs_above(
            query_QD, min_score_Q, tau_Q, direction=direction, batch_pairs=batch_pairs, **shaped
        )
    )
    assert sum(map(len, batches)) == len(query_row_M)
    for batch in batches:
        assert 0 < len(batch) <= batch_pairs or len(set(batch.query_row_M.tolist())) == 1
    if batches:
        found = Pairs.joined(batches)
        np.testing.assert_array_equal(found.query_row_M, query_row_M)
        for column, want in zip((found.ref_row_M, found.score_M, found.ratio_M), expected, strict=True):
            np.testing.assert_array_equal(column, want[query_row_M, slot_M])


def some_rows(number: int = 3000, num_dims: int = 8) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((number, num_dims)).astype(np.float32)


def test_work_is_done_as_batches_are_taken_and_ends_when_they_are_not() -> None:
    row_ND = some_rows()
    told: list[int] = []
    batches = Index(row_ND).pairs_above(
        row_ND, 0.5, direction="both", batch_pairs=10_000, progress=lambda done, _: told.append(done)
    )
    assert not told, "nothing is searched before the first batch is asked for"
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert 0 < told[-1] < 3000 * 3000 / 2


def test_progress_rises_to_all_pairs_of_rows_or_near() -> None:
    row_ND = some_rows(1500)
    told: list[tuple[int, int]] = []
    for _ in Index(row_ND).pairs_above(row_ND, 0.9, progress=lambda *pairs: told.append(pairs)):
        pass
    assert told[-1] == (1500 * 1500, 1500 * 1500)
    assert told == sorted(told)


@pytest.mark.parametrize("mode", ["best_pairs", "pairs_above"])
def test_ctrl_c_ends_it_soon(mode: str) -> None:
    row_ND = some_rows(60_000, 64)
    index = Index(row_ND, num_threads=1)
    told = [(0, 1)]
    common = {"direction": "both", "progress": lambda *pairs: told.append(pairs)}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    limit = {"best_pairs": 100_000, "pairs_above": 0.3}[mode]
    try:
        with pytest.raises(KeyboardInterrupt):
            list(getattr(index, mode)(row_ND, limit, **common))
        done, total = told[-1]
        assert done < total, "it was stopped on its way"
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_score": None}, "min_score must be a number, got None"),
        ({"min_score": np.nan}, "min_score must be a number, got nan"),
        ({"min_score": 0.5, "batch_pairs": 0}, "batch_pairs must be a whole number from 1"),
        ({"min_score": 0.5, "tau": 0}, "tau must be above 0"),
        ({"min_score": [0.5, 0.5]}, "one per query"),
    ],
)
def test_a_broken_rule_is_named_before_the_first_batch(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Index(some_rows(5)).pairs_above(some_rows(3), **arguments)


@pytest.mark.slow
def test_millions_of_hits_take_no_memory_of_their_number() -> None:
    """22 million pairs are 700 MB as arrays; the peak must not tell."""
    code = """
import numpy as np
from asl_fast import Index
def peak(): return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) >> 10
row_ND = np.random.default_rng(0).standard_normal((6000, 16)).astype(np.float32)
index = Index(row_ND, num_threads=2)
sum(map(len, index.pairs_above(row_ND[:600], 0.9, direction="both")))
before = peak()
num_pairs = sum(map(len, index.pairs_above(row_ND, -0.07, direction="both")))
print(num_pairs, peak() - before)
"""
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    num_pairs, grown_mb = map(int, shown.split())
    assert num_pairs > 20_000_000
    assert grown_mb < 120
