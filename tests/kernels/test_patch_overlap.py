"""Overlaps of patches against the reference, and against what must hold of any of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.kernels.patch_overlap import patch_overlap
from asl_fast.kernels.patch_overlap.reference import patch_overlap as reference

IDENTITY = np.eye(3)


def square(edge):
    return np.array([[0, 0], [edge, 0], [edge, edge], [0, edge]], np.float64)


def random_case(seed):
    """A homography, a convex region on which its last coordinate is positive, and two grids."""
    rng = np.random.default_rng(seed)
    grids = [tuple(rng.integers(1, 9, 2).tolist()) for _ in range(2)]
    angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    region = (0.5 + rng.uniform(0.2, 0.8) * np.stack([np.cos(angle), np.sin(angle)], 1)) * grids[1]
    turn = rng.uniform(0, 2 * np.pi)
    cos, sin = np.exp(rng.uniform(-1, 1)) * np.array([np.cos(turn), np.sin(turn)])
    matrix = np.array([[cos, sin, 0], [-sin, cos * rng.choice((1, -1)), 0], [0, 0, 1]])
    matrix[:2, 2] = rng.uniform(-2, 6, 2)
    matrix[2, :2] = rng.uniform(-0.04, 0.04, 2) * (rng.random() < 0.5)
    return matrix, region[:: rng.choice((1, -1))], *grids


def dense(found, a_grid, b_grid):
    share = np.zeros((a_grid[0] * a_grid[1], b_grid[0] * b_grid[1]))
    share[found[0], found[1]] = found[2]
    return share


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_overlaps_are_those_of_the_reference(seed):
    matrix, region, a_grid, b_grid = random_case(seed)
    found, told = (form(matrix, region, a_grid, b_grid) for form in (patch_overlap, reference))
    assert abs(dense(found, a_grid, b_grid) - dense(told, a_grid, b_grid)).max() < 1e-8
    order_M = found[0] * 1000 + found[1]
    assert (np.diff(order_M) > 0).all() and (found[2] > 0).all()
    assert [column.dtype for column in found] == [np.int64, np.int64, np.float64]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_no_patch_is_shared_out_more_than_once(seed):
    matrix, region, a_grid, b_grid = random_case(seed)
    share = dense(patch_overlap(matrix, region, a_grid, b_grid), a_grid, b_grid)
    assert share.sum(1).max(initial=0) <= 1 + 1e-9


@pytest.mark.parametrize("grid", [(1, 1), (14, 14), (16, 3)])
def test_a_view_with_itself_is_the_diagonal(grid):
    region = np.array([[0, 0], [grid[0], 0], [grid[0], grid[1]], [0, grid[1]]])
    a_M, b_M, share_M = patch_overlap(IDENTITY, region, grid, grid)
    assert a_M.tolist() == b_M.tolist() == list(range(grid[0] * grid[1]))
    assert share_M == pytest.approx(np.ones(len(a_M)), abs=1e-12)


def test_half_a_patch_further_is_half_of_two():
    moved = np.array([[1, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    a_M, b_M, share_M = patch_overlap(moved, square(2), (2, 2), (2, 2))
    assert a_M.tolist() == [0, 1, 1, 2, 3, 3] and b_M.tolist() == [0, 0, 1, 2, 2, 3]
    assert share_M.tolist() == [0.5] * 6


@pytest.mark.parametrize("region", [np.empty((0, 2)), [[1, 1]], [[0, 0], [1, 1]], 5 + square(1), square(0)])
def test_nothing_in_common_gives_no_pairs(region):
    assert [len(column) for column in patch_overlap(IDENTITY, region, (2, 2), (2, 2))] == [0, 0, 0]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (dict(matrix=np.eye(2)), r"matrix must be \(3, 3\)"),
        (dict(matrix=np.full((3, 3), np.nan)), "matrix must be .* finite"),
        (dict(region_C2=np.zeros((3, 3))), r"region must be finite corners \(C, 2\), got \(3, 3\)"),
        (dict(region_C2=[[0, np.inf]]), "region must be finite"),
        (dict(a_grid=(0, 3)), r"a_grid must be .* got \(0, 3\)"),
        (dict(b_grid=(1 << 11, 1 << 11)), "b_grid must be .* 1048576 patches at most"),
        (dict(matrix=[[1, 0, 0], [0, 1, 0], [-1, 0, 1]]), "last coordinate must be positive"),
    ],
)
def test_wrong_arguments_are_named(wrong, complaint):
    right = dict(matrix=IDENTITY, region_C2=square(2), a_grid=(2, 2), b_grid=(2, 2))
    with pytest.raises(ValueError, match=complaint):
        patch_overlap(**(right | wrong))
