"""Roles keep queries without a match away from the references, whatever the photos' kin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asl_fast.challenge import Kinship, Wanted, give_roles

NUM_PHOTOS = 24


@st.composite
def kinships(draw):
    groups = draw(st.lists(st.integers(0, 14), min_size=NUM_PHOTOS, max_size=NUM_PHOTOS))
    number = st.integers(0, NUM_PHOTOS - 1)
    paired = {pair for pair in draw(st.sets(st.tuples(number, number), max_size=12)) if pair[0] != pair[1]}
    return Kinship(
        tuple(tuple(b for b in range(NUM_PHOTOS) if groups[b] == groups[a]) for a in range(NUM_PHOTOS)),
        tuple(
            tuple(b for b in range(NUM_PHOTOS) if (a, b) in paired or (b, a) in paired)
            for a in range(NUM_PHOTOS)
        ),
    )


few = st.integers(0, 5)
wanted = st.builds(
    Wanted, copies=few, reversed=few, look_alikes=few, easy=few, references=st.none() | st.integers(1, 12)
)


def given_roles(kinship, wanted, seed):
    """The roles, or what is said against them."""
    try:
        return give_roles(kinship, wanted, np.random.default_rng(seed))
    except ValueError as error:
        return str(error)


@given(kinships(), wanted, st.integers(0, 2**32))
def test_roles_are_apart_and_as_many_as_wanted_or_it_is_said_why_not(kinship, wanted, seed):
    roles = given_roles(kinship, wanted, seed)
    if isinstance(roles, str):
        assert roles.startswith("--") or "leave none" in roles
        return
    likes = [query for query, _, _ in roles.look_alikes]
    parts = [*roles.references, *roles.cropped, *likes, *roles.easy, *roles.left_out]
    assert sorted(parts) == list(range(NUM_PHOTOS))
    assert set(roles.sources) <= set(roles.references)
    counts = (len(roles.sources), len(roles.cropped), len(likes), len(roles.easy))
    assert counts == (wanted.copies, wanted.reversed, wanted.look_alikes, wanted.easy)
    assert wanted.references is None or len(roles.references) <= wanted.references
    shown = {*roles.references, *roles.cropped}
    assert all(not kinship.kin(photo) & shown for photo in roles.easy)
    for query, reference, how in roles.look_alikes:
        assert reference in roles.references
        assert reference in (kinship.pairs if how == "pair" else kinship.group)[query]


@given(kinships(), wanted, st.integers(0, 2**32))
def test_roles_depend_on_the_seed_alone(kinship, wanted, seed):
    assert given_roles(kinship, wanted, seed) == given_roles(kinship, wanted, seed)


def strangers(number):
    return Kinship(tuple((one,) for one in range(number)), ((),) * number)


def test_copies_share_references_evenly_where_there_are_few():
    wanted = Wanted(copies=10, reversed=1, look_alikes=0, easy=1)
    sources = give_roles(strangers(6), wanted, np.random.default_rng(0)).sources
    assert sorted(sources.count(photo) for photo in set(sources)) == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (
            Wanted(copies=1, reversed=0, look_alikes=1, easy=0),
            "--look-alikes 1: the photos give no more than 0",
        ),
        (Wanted(copies=1, reversed=7, look_alikes=0, easy=0), "--reversed 7: the photos give no more than 6"),
        (Wanted(copies=1, reversed=0, look_alikes=0, easy=7), "--easy 7: the photos give no more than 6"),
        (Wanted(copies=1, reversed=3, look_alikes=0, easy=3), "leave none as references"),
    ],
)
def test_too_few_photos_are_named(wanted, said):
    with pytest.raises(ValueError, match=said):
        give_roles(strangers(6), wanted, np.random.default_rng(0))


def test_of_a_pair_either_photo_may_be_the_query():
    kinship = Kinship(((0,), (1,)), ((1,), (0,)))
    wanted = Wanted(copies=0, reversed=0, look_alikes=1, easy=0)
    orders = {give_roles(kinship, wanted, np.random.default_rng(seed)).look_alikes for seed in range(20)}
    assert orders == {((0, 1, "pair"),), ((1, 0, "pair"),)}
