"""Negative embedding subtraction against its formula, one row after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.records import Embeddings
from asl_fast.transforms import Negatives, Subtraction, transformed


def unit_rows(number: int, seed: int, num_dims: int = 16) -> np.ndarray:
    row_ND = np.random.default_rng(seed).standard_normal((number, num_dims)) + 0.5
    return (row_ND / np.linalg.norm(row_ND, axis=1, keepdims=True)).astype(np.float32)


def formula(row_ND: np.ndarray, negative_MD: np.ndarray, how: Subtraction) -> np.ndarray:
    def nearest(row_D: np.ndarray) -> np.ndarray:
        return np.argsort(-(negative_MD @ row_D), kind="stable")[: how.k]

    negative_MD = negative_MD.astype(np.float64)
    if how.smoothed:
        smooth = []
        for row_D in negative_MD:
            near = nearest(row_D)
            mean_D = ((negative_MD[near] @ row_D) ** 3) @ negative_MD[near]
            smooth.append(mean_D / np.linalg.norm(mean_D))
        negative_MD = np.array(smooth)
    out = []
    for row_D in row_ND.astype(np.float64):
        row_D = row_D / np.linalg.norm(row_D)
        for _ in range(how.iterations):
            row_D = row_D - how.beta * negative_MD[nearest(row_D)].mean(axis=0)
            row_D = row_D / np.linalg.norm(row_D)
        out.append(row_D)
    return np.array(out)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    how=st.builds(
        Subtraction,
        beta=st.sampled_from([0.1, 0.35, 0.9]),
        k=st.sampled_from([1, 3, 10]),
        iterations=st.sampled_from([1, 3]),
        smoothed=st.booleans(),
    ),
)
def test_rows_are_the_formulas(seed: int, how: Subtraction) -> None:
    row_ND, negative_MD = 3 * unit_rows(20, seed), unit_rows(60, seed + 1)
    embeddings = Embeddings(ids=[str(row) for row in range(20)], row_ND=row_ND)
    done = transformed(embeddings, [Negatives(negative_MD, how, num_threads=1)])
    np.testing.assert_allclose(done.row_ND, 3 * formula(row_ND, negative_MD, how), atol=2e-5)
    np.testing.assert_allclose(done.norm_N, 3, rtol=1e-6)


def test_the_challenge_winners_numbers_are_the_default() -> None:
    assert Subtraction() == Subtraction(beta=0.35, k=10, iterations=1, smoothed=True)


def test_copies_come_apart_from_look_alikes() -> None:
    """What is subtracted is what a row shares with many others: here, one direction."""
    rng = np.random.default_rng(0)
    shared_D = 2 * unit_rows(1, 1, 32)[0]
    rows = {
        name: (shared_D + rng.standard_normal((n, 32)) / 4).astype(np.float32)
        for name, n in (("q", 9), ("n", 200))
    }
    other = (shared_D + rng.standard_normal((9, 32)) / 4).astype(np.float32)
    negatives = Negatives(rows["n"])

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        sides = [
            transformed(Embeddings(ids=list("abcdefghi"), row_ND=side), [negatives]).row_ND for side in (a, b)
        ]
        a, b = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
        return float((a * b).sum(axis=1).mean())

    before = float(
        np.mean(
            [
                np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
                for a, b in zip(rows["q"], other, strict=True)
            ]
        )
    )
    assert cosine(rows["q"], other) < before - 0.05


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"beta": 0}, "beta must be a number above 0"),
        ({"beta": np.nan}, "beta must be a number above 0"),
        ({"k": 0}, "k and iterations at least 1"),
        ({"iterations": 0}, "k and iterations at least 1"),
        ({"k": 50}, "has 9 negatives, fewer than k = 50"),
    ],
)
def test_a_broken_rule_is_named(asked: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Negatives(unit_rows(9, 0), Subtraction(**asked))


def test_rows_of_another_width_are_refused() -> None:
    rows = Embeddings(ids=["a"], row_ND=unit_rows(1, 0, 5))
    with pytest.raises(ValueError, match="has 16 columns but the rows have 5"):
        transformed(rows, [Negatives(unit_rows(20, 0))])
