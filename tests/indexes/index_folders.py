"""Small indexes for the tests, and what an index must be equal to: a dictionary of rows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from asl_fast.indexes import Index
from asl_fast.indexes.folder import IndexFolder, Snapshot
from asl_fast.records import Embeddings, Pairs

NUM_DIMS = 4


def rows(number: int, seed: int = 0, num_dims: int = NUM_DIMS) -> np.ndarray:
    """Few different directions and norms, so that equal scores and equal norms are common."""
    rng = np.random.default_rng(seed)
    return rng.choice(np.array([-1, -0.5, 0.5, 1, 2], np.float32), (number, num_dims))


def batch(first: int, number: int, *, seed: int | None = None, **more: object) -> Embeddings:
    """Rows with the ids id<first>, id<first + 1>, ..."""
    ids = [f"id{first + place}" for place in range(number)]
    return Embeddings(ids=ids, row_ND=rows(number, first if seed is None else seed), **more)  # type: ignore[arg-type]


def small_index(folder: Path, **how: object) -> IndexFolder:
    """Three shards, one with removed rows; 19 rows."""
    index = IndexFolder(folder, **how)  # type: ignore[arg-type]
    index.create(num_dims=NUM_DIMS, fingerprint="f" * 64, model="default")
    index.add([batch(0, 12, path_N=[f"photos/{row}.jpg" for row in range(12)])])
    index.add([batch(12, 5), batch(17, 4)])
    index.remove(["id3", "id7"])
    return index


def content(folder: Path) -> dict[str, tuple[bytes, float]]:
    """Id -> (row, norm), in order of addition."""
    with Snapshot(folder) as snapshot:
        if not len(snapshot):
            return {}
        held = snapshot.embeddings()
    rows_and_norms = zip(held.row_ND, held.norm_N.tolist(), strict=True)
    return {name: (row.tobytes(), norm) for name, (row, norm) in zip(held.ids, rows_and_norms, strict=True)}


def check_search(snapshot: Snapshot, held: dict[str, np.ndarray], k: int, min_score: float | None) -> None:
    """The same as one Index over the rows in order of addition, to the bit."""
    plain = Index(np.stack(list(held.values())), num_threads=1)
    queries = rows(6, seed=99)
    for direction in ("copy", "original", "both"):
        found = snapshot.search(queries, k, 1.0, min_score, direction=direction)
        wanted = plain.search(queries, k, 1.0, min_score, direction=direction)
        for name in ("ref_row_QK", "score_QK", "ratio_QK"):
            np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), strict=True)
        for num_pairs, most in ((1, None), (7, None), (10_000, None), (7, 2)):
            pairs = snapshot.best_pairs(queries, num_pairs, 1.0, min_score, k=most, direction=direction)
            same = plain.best_pairs(queries, num_pairs, 1.0, min_score, k=most, direction=direction)
            assert_same_pairs(pairs, same)
        for score in (-1.0, 0.5):
            above = list(snapshot.pairs_above(queries, score, direction=direction, batch_pairs=11))
            wanted_above = list(plain.pairs_above(queries, score, direction=direction))
            assert len(above) >= len(wanted_above)
            if above:
                assert_same_pairs(Pairs.joined(above), Pairs.joined(wanted_above))


def assert_same_pairs(found: Pairs, wanted: Pairs) -> None:
    for name, column in vars(wanted).items():
        np.testing.assert_array_equal(getattr(found, name), column, err_msg=name, strict=True)


KILLING = multiprocessing.get_context("forkserver")
KILLING.set_forkserver_preload(["asl_fast.indexes.folder", "index_folders"])
EVENTS = {"open", "os.rename", "os.remove", "os.truncate", "os.mkdir"}


def write(folder: Path, what: str, first: int = 100, number: int = 40) -> None:
    """One change, of the same outcome whenever it is made."""
    index = IndexFolder(folder)
    if what == "add":
        index.add([batch(first, number), batch(first + number, number)])
    elif what == "replace":
        index.add([batch(0, number, seed=5)], replace_ids=True)
    elif what == "remove":
        index.remove(["id1", "id12", "id18"])
    else:
        assert index.compact() is not None


def killed_before(folder: Path, number: int) -> None:
    """Kill this process before the number-th thing that is done to the folder or a file in it."""
    left = number

    def look(event: str, args: tuple) -> None:
        nonlocal left
        if event in EVENTS and str(folder) in str(args[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(look)


def killed_at_event(folder: Path, what: str, number: int) -> None:
    killed_before(folder, number)
    write(folder, what)


def ready_then_write(folder: Path, what: str, number: int, ready: Connection) -> None:
    """Say when the work begins and when it is done; wait to be killed."""
    ready.send(None)
    write(folder, what, number=number)
    ready.send(None)
    signal.pause()


def end_of(target: Callable[..., None], *args: object) -> int:
    """Run in another process; its exit status, -SIGKILL if it was killed."""
    process = KILLING.Process(target=target, args=args)
    process.start()
    process.join()
    status = process.exitcode
    process.close()
    assert status is not None
    return status
