"""The views benchmark compares like with like: shown on the peer that is always installed."""

import numpy as np
import pytest

from asl_fast.edits import Chain
from benchmarks.views.cases import EDGE_PX, drawn_chains, single_edits
from benchmarks.views.goals import goals
from benchmarks.views.peers import peer_named
from benchmarks.views.photos import pictures, write_photos
from benchmarks.views.run import compared
from benchmarks.views.tables import section

CASES = {case.name: case for case in single_edits(1)}
KNOWN = [name for name, case in CASES.items() if peer_named("torchvision").known(case.chains[0]).edits]


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("photos"), 1)


@pytest.mark.parametrize("name", KNOWN)
def test_torchvision_draws_within_the_bound_what_we_draw(name, photo):
    case, peer, ours = CASES[name], peer_named("torchvision"), peer_named("ours")
    size = (500, 375) if case.pictures == "photos" else (EDGE_PX, EDGE_PX)
    (pixels,) = pictures(photo, size)
    theirs = peer.pixels(peer.apply(case.chains[0], peer.native(pixels)))
    compared([theirs], [ours.apply(case.chains[0], pixels)], case.bound)
    assert len(KNOWN) == 16


def test_a_peer_whose_pixels_are_off_gets_no_figure():
    grey = np.full((8, 8, 3), 100, np.uint8)
    assert compared([grey + np.uint8(2)], [grey], 2.0) == 2.0
    with pytest.raises(ValueError, match=r"3\.0 grey levels from ours, the bound is 2\.0"):
        compared([grey, grey + np.uint8(3)], [grey, grey], 2.0)
    with pytest.raises(ValueError, match="shape"):
        compared([grey], [grey[:5]], None)


def test_a_peers_chain_is_ours_less_what_it_cannot_do_and_ends_at_the_same_size(photo):
    peer, ours = peer_named("torchvision"), peer_named("ours")
    (pixels,) = pictures(photo, (500, 375))
    for chain in drawn_chains(20):
        less = peer.counterpart(chain, (500, 375))
        assert [edit for edit in chain.edits if type(edit) in peer.edits] == list(less.edits)
        theirs = peer.pixels(peer.apply(less, peer.native(pixels)))
        assert theirs.shape == ours.apply(less, pixels).shape == (EDGE_PX, EDGE_PX, 3)


def test_edits_that_a_peer_lacks_are_left_out_of_ours_beside_it():
    chains = drawn_chains(20)
    assert any(peer_named("torchvision").known(chain) != chain for chain in chains)
    assert peer_named("ours").known(chains[0]) == chains[0] != Chain()


def test_goals_tell_what_was_missed_and_what_was_not_measured():
    rows = [
        {"part": "chains", "case": "chains", "peer": "augly", "times": 5.0},
        {"part": "chains", "case": "chains", "peer": "kornia", "times": 9.0},
        {"part": "chains", "case": "chains", "peer": "albumentations", "times": 0.9},
        {"part": "resize", "cores": 2, "peer": "torchvision", "problem": "is not installed"},
        {"part": "gpu", "case": "views", "engine": "ours_dali_gpu", "cores": 16, "per_s": 9_000.0},
        {"part": "tracing", "draw_s": 1e-3, "trace_s": 4e-5, "content_s": 2e-4},
        {"part": "memory", "views": 1, "bytes": 100},
        {"part": "memory", "views": 2, "bytes": 101},
    ]
    told = {goal.text: goal.verdict for goal in goals(rows)}
    assert told["chains, edits alone: times AugLy"] == "met"
    assert told["chains, edits alone: times the best of the others"] == "missed"
    assert told["decode + resize, 2 cores: times torchvision in a DataLoader"] == "not measured"
    assert told["tracing, of the time of drawing"] == "met"
    assert told["GPU: views a second, chains as above"] == "missed"
    assert told["tracing, of the time of drawing, with the content that is left"] == "missed"
    assert told["memory, growth from the first mark to the last"] == "met"


def test_tables_hold_every_row():
    rows = [
        {"part": "resize", "cores": 2, "peer": "dali", "problem": "is not installed"},
        {"part": "views", "cores": 1, "peer": "augly", "peer_s": 0.01, "ours_s": 0.002, "times": 5.0},
        {"part": "edits", "case": "flip", "peer": "kornia", "peer_s": 1e-4, "ours_s": 2e-4, "times": 0.5},
        {"part": "gpu", "case": "views", "engine": "ours_dali_gpu", "cores": 16, "per_s": 12_000.0},
    ]
    head = {"machine": "a machine", "cores": 2, "versions": "torch 2", "photos": "1 photo.", "date": "today"}
    text = section([{**head, "rows": rows}])
    assert "| decode + resize | 2 | DALI, CPU | is not installed |  |  |" in text
    assert "| two views | 1 | AugLy | 100 | 500 | 5.00 |" in text
    assert "| flip | 200 | - | - | 0.50 | - |" in text
    assert "| views | ours through DALI, GPU | 12000 |" in text
