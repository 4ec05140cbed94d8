"""Letters and signs as masks."""

import numpy as np
import pytest

from asl_fast.edits.patches import SignPatch, TextPatch, drawn, drawn_size, masks

RED, BLUE = (255, 0, 0), (0, 0, 255)


TEXTS = [
    TextPatch("Ágj W?", 1, height, RED, outline, box)
    for outline, box in ((None, None), (BLUE, None), (None, BLUE))
    for height in (4, 9, 40, 200)
]
SIGNS = [SignPatch("☂", RED, None), SignPatch("☂", RED, BLUE)]


def test_size_is_known_without_drawing():
    for patch in (*TEXTS, *SIGNS):
        assert masks(patch).behind_HW.shape == masks(patch).ink_HW.shape == drawn_size(patch)[::-1]


def test_ink_lies_inside_what_is_behind_it():
    for patch in (*TEXTS, *SIGNS):
        ink_HW, behind_HW = masks(patch)
        assert (ink_HW <= behind_HW).all() and ink_HW.max() > 60
        assert (behind_HW is ink_HW) == (BLUE not in vars(patch).values())


def test_letters_stand_in_their_order_and_apart():
    plain = TextPatch("I I I", 0, 60, RED)
    column_W = masks(plain).ink_HW.max(0) > 128
    assert np.count_nonzero(np.diff(column_W.astype(int)) == 1) == 3
    wide, narrow = (drawn_size(TextPatch(text, 0, 60, RED))[0] for text in ("WWWW", "iiii"))
    assert wide > 2 * narrow


def test_letters_are_not_cut_off():
    for font in range(8):
        for height in (16, 50):
            ink_HW = masks(TextPatch("jÅgW", font, height, RED, BLUE)).ink_HW
            edge = np.concatenate([ink_HW[0], ink_HW[-1], ink_HW[:, 0], ink_HW[:, -1]])
            assert edge.max() < 200, (font, height)


@pytest.mark.parametrize("patch", TEXTS)
def test_drawn_colours_are_those_of_ink_and_back(patch):
    rgba = drawn(patch).astype(int)
    ink_HW, behind_HW = masks(patch)
    assert (rgba[:, :, 3] == behind_HW).all()
    assert abs(rgba[:, :, 0] - ink_HW).max() <= 1
    blue = behind_HW.astype(int) - ink_HW if behind_HW is not ink_HW else 0 * ink_HW.astype(int)
    assert abs(rgba[:, :, 2] - blue).max() <= 1


def test_masks_cannot_be_drawn_on():
    with pytest.raises(ValueError, match="read-only"):
        masks(TextPatch("a", 0, 20, RED)).ink_HW[0, 0] = 1
