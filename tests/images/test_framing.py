"""Resize policies, view sets and sizes: each frame shows what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asl_fast.images import VIEW_SETS, WHOLE, Framing, Resize, View

sizes = st.integers(1, 60)


def numbered(height: int, width: int) -> np.ndarray:
    """Red is the row, green the column."""
    row_HW, column_HW = np.mgrid[:height, :width]
    return np.stack([row_HW, column_HW, np.zeros_like(row_HW)], axis=2).astype(np.uint8)


@given(sizes, sizes, st.integers(1, 64))
def test_short_keeps_the_proportions(height: int, width: int, edge_px: int) -> None:
    found = Resize(edge_px=edge_px, mode="short")(numbered(height, width))
    short, long = sorted(found.shape[:2])
    assert short == edge_px and long <= 4 * edge_px
    if max(height, width) <= 4 * min(height, width):
        assert (found.shape[0] > found.shape[1]) == (height > width) or short == long
        assert abs(long - edge_px * max(height, width) / min(height, width)) <= 0.5


def test_short_gives_the_size_that_is_usual_for_photos() -> None:
    assert Resize(edge_px=288, mode="short").size_of(375, 500) == (288, 384)
    assert Resize(edge_px=288, mode="short").size_of(500, 375) == (384, 288)


def test_a_panorama_is_squashed_to_four_edges() -> None:
    found = Resize(edge_px=10, mode="short")(numbered(2, 200))
    assert found.shape == (10, 40, 3) and found[0, 0, 1] < 10 and found[0, -1, 1] > 190


def test_published_view_sets_have_their_numbers_of_views() -> None:
    numbers = {name: len(views) for name, views in VIEW_SETS.items()}
    assert (numbers["d2lv-queries"], numbers["d2lv-refs"]) == (9, 19)
    assert (numbers["copynce-queries"], numbers["copynce-refs"]) == (26 - 1, 10)


@pytest.mark.parametrize("name", VIEW_SETS)
def test_every_set_begins_with_the_whole_picture_and_shows_no_part_twice(name: str) -> None:
    views = VIEW_SETS[name]
    assert views[0] == WHOLE
    assert len({(view.box, view.turn_deg) for view in views}) == len(views) == len({v.name for v in views})


@pytest.mark.parametrize("name", VIEW_SETS)
@settings(max_examples=25, deadline=None)
@given(height=sizes, width=sizes)
def test_every_view_of_every_picture_is_a_picture(name: str, height: int, width: int) -> None:
    framing = Framing(resizes=(Resize(edge_px=4), Resize(edge_px=6)), views=VIEW_SETS[name])
    frames = framing(numbered(height, width))
    assert len(frames) == framing.num_frames == 2 * len(VIEW_SETS[name])
    assert [frame.shape for frame in frames] == [(4, 4, 3), (6, 6, 3)] * len(VIEW_SETS[name])


@given(st.integers(1, 5), st.integers(1, 5))
def test_the_cells_of_a_grid_cover_the_picture_once(height: int, width: int) -> None:
    picture = numbered(6 * height, 6 * width)
    for kind, number in (("quarter", 4), ("ninth", 9)):
        cells = [view.of(picture) for view in VIEW_SETS["grids"] if view.name.startswith(kind)]
        assert len(cells) == number
        pixels = np.concatenate([cell.reshape(-1, 3) for cell in cells])
        assert sorted(map(tuple, pixels)) == sorted(map(tuple, picture.reshape(-1, 3)))


@pytest.mark.parametrize(
    ("name", "top", "bottom", "left", "right"),
    [
        ("centre", 15, 45, 30, 90),
        ("inner-1", 10, 30, 20, 60),
        ("inner-2", 10, 30, 60, 100),
        ("inner-3", 30, 50, 20, 60),
        ("inner-4", 30, 50, 60, 100),
        ("ninth-6", 20, 40, 80, 120),
        ("quarter-3", 30, 60, 0, 60),
    ],
)
def test_boxes_lie_where_d2lv_cuts_them(name: str, top: int, bottom: int, left: int, right: int) -> None:
    view = next(view for view in VIEW_SETS["d2lv-queries"] + VIEW_SETS["d2lv-refs"] if view.name == name)
    picture = numbered(60, 120)
    assert np.array_equal(view.of(picture), picture[top:bottom, left:right])


def test_turns_are_counter_clockwise() -> None:
    picture = numbered(20, 30)
    for view in VIEW_SETS["turns"]:
        assert np.array_equal(view.of(picture), np.rot90(picture, view.turn_deg // 90))
    slanted = View(name="turn-45", turn_deg=45).of(np.full((20, 30, 3), 200, np.uint8))
    assert min(slanted.shape[:2]) >= 35 and slanted[0, 0].tolist() == [0, 0, 0]
    assert slanted[slanted.shape[0] // 2, slanted.shape[1] // 2].tolist() == [200] * 3
    right_top = View(name="turn-45", turn_deg=45).of(numbered(90, 90))  # what was right is now on top
    assert right_top[30, 64, 1] > right_top[97, 64, 1] + 30


def test_the_hint_leaves_the_smallest_view_its_edge() -> None:
    resizes = (Resize(edge_px=100), Resize(edge_px=224))
    assert Framing(resizes=resizes).edge_px_hint == 224
    assert Framing(resizes=resizes, views=VIEW_SETS["quarters"]).edge_px_hint == 448
    assert Framing(resizes=resizes, views=VIEW_SETS["copynce-refs"]).edge_px_hint == 672


@pytest.mark.parametrize(
    ("resizes", "views"),
    [((), (WHOLE,)), ((Resize(),), ()), ((Resize(),), (WHOLE, WHOLE)), ((Resize(), Resize()), (WHOLE,))],
)
def test_impossible_framings_are_refused(resizes: tuple[Resize, ...], views: tuple[View, ...]) -> None:
    with pytest.raises(ValueError, match="framing: "):
        Framing(resizes=resizes, views=views)
