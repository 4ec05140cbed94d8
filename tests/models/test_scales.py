"""Rows at several sizes become one: direction of the mean, geometric mean of the norms."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.models import joined_scales


def rows(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_one_size_gives_its_rows_to_the_bit():
    row_N1D = rows(5, 1, 8)
    assert np.array_equal(joined_scales(row_N1D), row_N1D[:, 0])


@given(st.integers(1, 5), st.integers(0, 99))
def test_directions_are_averaged_as_units_and_norms_geometrically(num_scales, seed):
    row_NSD = rows(3, num_scales, 6, seed=seed)
    found_ND = joined_scales(row_NSD)
    for row_SD, found_D in zip(row_NSD.astype(np.float64), found_ND, strict=True):
        norm_S = np.linalg.norm(row_SD, axis=1)
        mean_D = (row_SD / norm_S[:, None]).sum(axis=0)
        cosine = found_D @ mean_D / np.linalg.norm(found_D) / np.linalg.norm(mean_D)
        assert abs(cosine - 1) < 1e-6
        assert np.isclose(np.linalg.norm(found_D), np.prod(norm_S) ** (1 / num_scales), rtol=1e-5)


def test_a_size_with_larger_norms_has_no_more_say():
    row_NSD = rows(2, 3, 6)
    larger_NSD = row_NSD * np.array([1, 100, 1], np.float32)[:, None]
    plain, larger = joined_scales(row_NSD), joined_scales(larger_NSD)
    ratio = np.linalg.norm(plain[0]) / np.linalg.norm(plain[1])
    assert np.isclose(np.linalg.norm(larger[0]) / np.linalg.norm(larger[1]), ratio, rtol=1e-5)
    assert np.allclose(
        larger / np.linalg.norm(larger, axis=1, keepdims=True),
        plain / np.linalg.norm(plain, axis=1, keepdims=True),
        atol=1e-6,
    )


def test_an_unusable_row_at_one_size_makes_the_picture_unusable():
    row_NSD = rows(3, 2, 4)
    row_NSD[1, 0] = 0
    row_NSD[2, 1, 3] = np.nan
    usable_N = np.isfinite(joined_scales(row_NSD)).all(axis=1)
    assert usable_N.tolist() == [True, False, False]
