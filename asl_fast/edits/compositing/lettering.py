"""Lines of text and signs put at their places."""

from __future__ import annotations

from asl_fast.edits.geometry import box, shift, turn
from asl_fast.edits.patches import SignPatch, TextPatch, drawn_size
from asl_fast.edits.steps import Colour3, Matrix, Over

_LEAST_PX = 4  # lower text is a smudge


def line_over(
    patch: TextPatch,
    left: float,
    top: float,
    most_width: float,
    *,
    opacity: float = 1.0,
    degrees: float = 0.0,
) -> list[Over]:
    """A line with its corner at (left, top) in pixels, smaller where it would be wider than most_width."""
    if patch.height_px < _LEAST_PX or most_width < 1 or not patch.text:
        return []
    columns, rows = drawn_size(patch)
    scale = min(patch.height_px / rows, most_width / columns)
    return [Over(patch, placed(left, top, scale * columns, scale * rows, degrees), opacity)]


def line_in_middle(
    text: str,
    font: int,
    left: float,
    top: float,
    width: float,
    height: float,
    fill: Colour3,
    *,
    outlined: bool,
) -> list[Over]:
    """A line as large as a box of these pixels allows, in its middle."""
    outline = None if not outlined else (0, 0, 0) if sum(fill) > 380 else (255, 255, 255)
    patch = TextPatch(text, font, max(1, round(height)), fill, outline)
    if patch.height_px < _LEAST_PX or width < 1 or not text:
        return []
    columns, rows = drawn_size(patch)
    scale = min(height / rows, width / columns)
    room_x, room_y = width - scale * columns, height - scale * rows
    place = placed(left + room_x / 2, top + room_y / 2, scale * columns, scale * rows, 0.0)
    return [Over(patch, place)]


def sign_over(
    patch: SignPatch, middle_x: float, middle_y: float, edge: float, *, opacity: float, degrees: float
) -> Over:
    return Over(patch, placed(middle_x - edge / 2, middle_y - edge / 2, edge, edge, degrees), opacity)


def placed(left: float, top: float, width: float, height: float, degrees: float) -> Matrix:
    """Takes the unit square to a box, turned about its middle; an upright one stands on whole pixels."""
    if degrees == 0:
        return box(round(left), round(top), max(1, round(width)), max(1, round(height)))
    middle = shift(left + width / 2, top + height / 2)
    return middle @ turn(degrees) @ box(-width / 2, -height / 2, width, height)
