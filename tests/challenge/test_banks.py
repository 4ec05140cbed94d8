"""Every bank draws every family at every strength, the same each time, and leaves enough to be recognised."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from asl_fast.challenge import banks
from asl_fast.challenge.banks import BANKS, FAMILIES, STRENGTHS, bank_named, told
from asl_fast.edits import Chain
from asl_fast.errors import InputError


def photo(width, height, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


PHOTOS = (photo(200, 150), photo(64, 64), photo(70, 300), photo(300, 70))
OTHERS = (photo(120, 90, 1), photo(80, 140, 2))


@pytest.fixture(params=tuple(BANKS))
def bank(request):
    if request.param == "augly":
        pytest.importorskip("augly")
    return bank_named(request.param)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_chains_change_pictures_of_any_shape_and_always_alike(bank, family, strength):
    for seed in range(4):
        chain = bank.copy(family, strength, np.random.default_rng(seed))
        assert chain == bank.copy(family, strength, np.random.default_rng(seed))
        assert len(told(chain).split(" > ")) == len(json.loads(chain)) > 0
        given = PHOTOS[seed % len(PHOTOS)]
        before = given.copy()
        view = bank.apply(chain, given, OTHERS)
        assert view.dtype == np.uint8 and view.ndim == 3 and view.shape[2] == 3 and min(view.shape) > 0
        assert view.shape != given.shape or (view != given).any()
        assert (given == before).all()
        assert (bank.apply(chain, given, OTHERS) == view).all()


def test_harder_chains_change_more(bank):
    """By the part of a photo that crops leave, and by what colours move."""

    def views(family, strength):
        chains = [bank.copy(family, strength, np.random.default_rng(seed)) for seed in range(12)]
        return [bank.apply(chain, PHOTOS[0], OTHERS) for chain in chains]

    easy, medium, hard = (np.mean([view.size for view in views("crop", level)]) for level in STRENGTHS)
    assert easy > 1.3 * medium and medium > 1.3 * hard
    easy, medium, hard = (
        np.mean([np.abs(view.astype(int) - PHOTOS[0]).mean() for view in views("colour", level)])
        for level in STRENGTHS
    )
    assert easy < medium < hard


def test_light_edits_keep_the_whole_picture_recognisable(bank):
    for seed in range(12):
        view = bank.apply(bank.light(np.random.default_rng(seed)), PHOTOS[0], OTHERS)
        assert 0.55 < view.shape[0] / 150 <= 1 and abs(view.shape[0] / view.shape[1] - 0.75) < 0.02
        small, whole = (np.asarray(Image.fromarray(one).resize((40, 30)), float) for one in (view, PHOTOS[0]))
        assert np.corrcoef(small.ravel(), whole.ravel())[0, 1] > 0.97


def test_threads_draw_what_one_thread_draws(bank):
    chains = [bank.copy("blur", STRENGTHS[seed % 3], np.random.default_rng(seed)) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        views = list(pool.map(lambda chain: bank.apply(chain, PHOTOS[0], OTHERS), chains))
    for chain, view in zip(chains, views, strict=True):
        assert (view == bank.apply(chain, PHOTOS[0], OTHERS)).all()


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_own_copies_leave_a_tenth_of_the_photo_on_a_twentieth_of_the_view(family, strength):
    own = bank_named("own")
    for seed in range(25):
        trace = Chain.from_json(own.copy(family, strength, np.random.default_rng(seed))).trace((256, 192))
        assert trace.content >= 0.1 and trace.shown >= 0.05


def test_own_light_edits_show_all_that_the_photo_shows():
    own = bank_named("own")
    for seed in range(25):
        assert Chain.from_json(own.light(np.random.default_rng(seed))).trace((256, 192)).content > 0.999


def test_what_a_bank_needs_and_lacks_is_one_line_with_the_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "augly", None)
    for name in ("augly", "augly_edits"):  # as if never imported
        monkeypatch.delitem(sys.modules, f"asl_fast.challenge.banks.{name}", raising=False)
        monkeypatch.delattr(banks, name, raising=False)
    with pytest.raises(InputError, match=r"--edits augly: .*install augly .*or use --edits own"):
        bank_named("augly")
