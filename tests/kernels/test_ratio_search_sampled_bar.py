"""Where the best pairs start: any bar gives the same answer, and the sample's saves what it should."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_fast.kernels import ratio_search
from asl_fast.kernels.ratio_search import PreparedRefs, ask, sampled_bar
from asl_fast.records import Pairs


def assert_same(found: Pairs, want: Pairs) -> None:
    for field in fields(want):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(want, field.name), strict=True)


def clustered(rng: np.random.Generator, number: int, share: float) -> NDArray[np.float32]:
    """Small integers, many ties; a share of the rows alike."""
    row_ND = rng.integers(-2, 3, (number, 6)) + np.where(rng.random(number) < share, 9, 0)[:, None]
    row_ND[~row_ND.any(axis=1), 0] = 1
    return row_ND.astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    share=st.sampled_from([0.0, 0.05, 1.0]),
    num_pairs=st.sampled_from([1, 20, 300, 4000]),
    k=st.sampled_from([None, 1, 5]),
    bar=st.sampled_from(["sampled", None, -1.0, 0.5, 0.99, 1.0, 2.0]),
)
def test_the_best_pairs_are_the_same_from_any_bar_on(
    seed: int, share: float, num_pairs: int, k: int | None, bar: float | str | None
) -> None:
    rng = np.random.default_rng(seed)
    refs = PreparedRefs(clustered(rng, 90, share), num_threads=2)
    bias = rng.uniform(-0.5, 0.5, 70)
    question = ask(clustered(rng, 70, share), direction=str(rng.choice(["copy", "both"])), bias=bias)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ratio_search, "likely_bar", lambda *_: None)
        want = refs.best_pairs(question, num_pairs, k=k)
        if bar != "sampled":
            patch.setattr(ratio_search, "likely_bar", lambda *_: bar)
            assert_same(refs.best_pairs(question, num_pairs, k=k), want)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampled_bar, "_LEAST_SAMPLED", 4)
        assert_same(refs.best_pairs(question, num_pairs, k=k), want)


def test_the_sampled_bar_is_reached_and_lets_few_more_pass() -> None:
    rng = np.random.default_rng(1)
    refs = PreparedRefs(rng.standard_normal((3000, 16)).astype(np.float32))
    question = ask(rng.standard_normal((2000, 16)).astype(np.float32), direction="both")
    want = refs._best_pairs(question, 20_000, None, None, None)
    bar = sampled_bar.likely_bar(
        20_000,
        2000,
        3000,
        lambda row_S, number: refs._best_pairs(question.part(row_S), number, None, None, None),
    )
    assert bar is not None and bar <= want.score_M[-1]
    passing = refs._best_pairs(question.above(bar), 200_000, None, None, None)
    assert 20_000 <= len(passing) < 80_000


def test_progress_of_a_search_that_starts_anew_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratio_search, "likely_bar", lambda *_: 2.0)
    row_ND = np.random.default_rng(2).standard_normal((500, 8)).astype(np.float32)
    told: list[tuple[int, int]] = []
    best = PreparedRefs(row_ND).best_pairs(
        ask(row_ND, direction="both"), 1000, progress=lambda *pairs: told.append(pairs)
    )
    assert len(best) == 1000
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (250_000, 250_000)
