"""Writers that are killed, that meet one another, and readers that look on."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from index_folders import (
    KILLING,
    NUM_DIMS,
    batch,
    content,
    end_of,
    killed_at_event,
    ready_then_write,
    rows,
    small_index,
    write,
)

from asl_fast.errors import InputError
from asl_fast.indexes.folder import IndexFolder, Snapshot, verify
from asl_fast.indexes.folder.catalogue import CatalogueFile
from asl_fast.indexes.folder.lock import only_writer
from asl_fast.records import Embeddings

CHANGES = ("add", "replace", "remove", "compact")


def check_old_or_new(folder: Path, old: dict, new: dict) -> bool:
    """True if it is the new state. The next writer must find its way, and leave nothing over."""
    found = verify(folder, num_threads=1)
    assert not found.damages
    now = content(folder)
    assert now in (old, new) and list(now) in (list(old), list(new))
    IndexFolder(folder).add([batch(900_000, 2)])
    found = verify(folder, num_threads=1)
    assert not found.damages and not found.leftovers
    assert list(content(folder)) == [*now, "id900000", "id900001"]
    names = {path.name for path in folder.iterdir()}
    assert len(names) == 3 + 2 * len(found.catalogue.shards) and (folder / "lock").stat().st_size == 0
    return list(now) == list(new) and now == new


@pytest.mark.parametrize("what", CHANGES)
def test_killed_before_any_access_to_a_file_it_is_in_the_old_or_the_new_state(
    tmp_path: Path, what: str
) -> None:
    base = small_index(tmp_path / "base").path
    old = content(base)
    shutil.copytree(base, tmp_path / "done")
    write(tmp_path / "done", what)
    new = content(tmp_path / "done")
    outcomes = []
    for number in range(1, 1000):
        folder = tmp_path / f"killed-{number}"
        shutil.copytree(base, folder)
        status = end_of(killed_at_event, folder, what, number)
        assert status in (0, -signal.SIGKILL)
        outcomes.append(check_old_or_new(folder, old, new))
        shutil.rmtree(folder)
        if status == 0:
            break
    assert len(outcomes) > 15
    if old != new:
        assert outcomes == sorted(outcomes) and not outcomes[0] and outcomes[-1]


@pytest.mark.parametrize("what", ["add", "compact"])
@pytest.mark.parametrize("num_kills", [8, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.timeout(3600)
def test_killed_at_a_random_moment_it_is_in_the_old_or_the_new_state(
    tmp_path: Path, what: str, num_kills: int
) -> None:
    base = small_index(tmp_path / "base").path
    number = 10_000
    if what == "compact":
        write(base, "add", number=number)
    old = content(base)
    shutil.copytree(base, tmp_path / "done")
    started = time.perf_counter()
    write(tmp_path / "done", what, number=number)
    seconds = time.perf_counter() - started
    new = content(tmp_path / "done")
    chance = random.Random(what)
    num_killed = 0
    for kill in range(num_kills):
        folder = tmp_path / f"killed-{kill}"
        shutil.copytree(base, folder)
        here, there = KILLING.Pipe()
        process = KILLING.Process(target=ready_then_write, args=(folder, what, number, there))
        process.start()
        here.recv()
        time.sleep(chance.uniform(0, 1.2 * seconds))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        num_killed += not here.poll()
        process.close()
        here.close()
        there.close()
        check_old_or_new(folder, old, new)
        shutil.rmtree(folder)
    assert num_killed > num_kills // 4


def test_a_build_that_was_killed_can_be_started_again(tmp_path: Path) -> None:
    for number in range(1, 100):
        folder = tmp_path / f"killed-{number}"
        status = end_of(_build_killed, folder, number)
        IndexFolder(folder).create(num_dims=NUM_DIMS)
        IndexFolder(folder).add([batch(0, 3)])
        assert len(content(folder)) == 3 and not verify(folder).leftovers
        if status == 0:
            break
    assert number > 8


def _build_killed(folder: Path, number: int) -> None:
    from index_folders import killed_before

    killed_before(folder, number)
    IndexFolder(folder).create(num_dims=NUM_DIMS)


def test_an_open_search_sees_its_state_while_another_process_adds_and_compacts(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    queries = rows(5, 3)
    with Snapshot(folder) as snapshot:
        before = {path.name for path in folder.glob("shard-*")}
        for what in ("add", "compact", "remove", "compact"):
            assert end_of(write, folder, what) == 0
        assert not before & {path.name for path in folder.glob("shard-*")}
        assert list(snapshot.ids) == [f"id{row}" for row in range(21) if row not in (3, 7)]
        found = snapshot.search(queries, 4)
        held = snapshot.embeddings()
    with Snapshot(small_index(tmp_path / "same").path) as same:
        np.testing.assert_array_equal(found.ref_row_QK, same.search(queries, 4).ref_row_QK)
        np.testing.assert_array_equal(held.row_ND, same.embeddings().row_ND)
    with Snapshot(folder) as now:
        assert len(now) == 19 + 80 - 3


def _keep_writing(folder: Path, seconds: float) -> None:
    index = IndexFolder(folder)
    until = time.monotonic() + seconds
    first = 1000
    while time.monotonic() < until:
        index.add([batch(first, 3)])
        index.remove([f"id{first}"])
        index.compact()
        first += 3


@pytest.mark.parametrize("seconds", [3.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_readers_that_open_while_another_process_writes_always_find_a_whole_state(
    tmp_path: Path, seconds: float
) -> None:
    folder = small_index(tmp_path / "index").path
    writer = KILLING.Process(target=_keep_writing, args=(folder, seconds))
    writer.start()
    sizes = []
    while writer.is_alive():
        with Snapshot(folder, num_threads=1) as snapshot:
            names = list(snapshot.ids)
            assert names[:19] == [f"id{row}" for row in range(21) if row not in (3, 7)]
            numbers = [int(name[2:]) for name in names[19:]]
            firsts = [number for number in numbers if (number - 1000) % 3 == 0]
            assert numbers == sorted(numbers)
            assert firsts in ([], numbers[-3:-2])  # all but the last batch have lost their first row
            assert (snapshot.search(rows(2), 1).ref_row_QK >= 0).any()
            sizes.append(len(names))
        assert not verify(folder, num_threads=1).damages
    writer.join()
    assert writer.exitcode == 0
    assert len(set(sizes)) > 3


@pytest.mark.parametrize(
    "read", [lambda folder: len(Snapshot(folder)), lambda folder: verify(folder).damages]
)
def test_a_state_that_is_replaced_while_it_is_opened_is_tried_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    folder = small_index(tmp_path / "index").path
    expected = read(folder)
    load = CatalogueFile.load
    times = []

    def load_late(file: CatalogueFile) -> object:
        state = load(file)
        times.append(file.generation)
        if len(times) == 1:
            assert end_of(write, folder, "compact") == 0
        return state

    monkeypatch.setattr(CatalogueFile, "load", load_late)
    assert read(folder) == expected
    assert times[0] < times[-1]


def test_a_second_writer_is_told_which_process_writes(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    with (
        only_writer(folder),
        pytest.raises(InputError, match=f"is being written by process {os.getpid()}; wait for it"),
    ):
        IndexFolder(folder).remove(["id0"])
    assert IndexFolder(folder).remove(["id0"]) == 1


def test_a_second_writer_waits_as_long_as_it_was_told(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    here, there = KILLING.Pipe()
    holder = KILLING.Process(target=_hold, args=(folder, there, 0.5))
    holder.start()
    here.recv()
    assert IndexFolder(folder, wait_seconds=60).remove(["id0"]) == 1
    holder.join()
    assert holder.exitcode == 0


def _hold(folder: Path, ready: object, seconds: float) -> None:
    with only_writer(folder):
        ready.send(None)
        time.sleep(seconds)


def test_the_lock_of_a_killed_writer_is_free(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    here, there = KILLING.Pipe()
    holder = KILLING.Process(target=_hold, args=(folder, there, 60))
    holder.start()
    here.recv()
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert (folder / "lock").read_bytes()
    assert IndexFolder(folder).remove(["id0"]) == 1
    assert not (folder / "lock").read_bytes()


def test_what_others_keep_in_the_folder_is_left_alone(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    for name in ("notes.txt", "shard-x.rows", ".other.tmp"):
        (folder / name).write_text("mine")
    IndexFolder(folder).compact()
    assert not verify(folder).damages and not verify(folder).leftovers
    assert all((folder / name).read_text() == "mine" for name in ("notes.txt", "shard-x.rows", ".other.tmp"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: batch(3, 2),
            r"add: id 'id4' of embeddings is in .* already \(1 such ids\); nothing was added",
        ),
        (
            lambda: batch(500, 1, fingerprint="e" * 64),
            r"by model eeeeeeeeeeee but .* by ffffffffffff \(default\)",
        ),
        (
            lambda: Embeddings(ids=["a"], row_ND=np.ones((1, 7), np.float32), name="new.npy"),
            r"add: new.npy has 7 columns but .* has 4; embed with the model of the index",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_changes(tmp_path: Path, make: object, message: str) -> None:
    folder = small_index(tmp_path / "index").path
    before = content(folder)
    with pytest.raises(InputError, match=message):
        IndexFolder(folder).add([batch(700, 2), make()])
    assert content(folder) == before
    assert not verify(folder).leftovers


def test_ids_that_stand_in_two_inputs_are_refused(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    with pytest.raises(InputError, match="id 'id701' of embeddings stands in two of the inputs"):
        IndexFolder(folder).add([batch(700, 2), batch(701, 2)], replace_ids=True)
    assert len(content(folder)) == 19


def test_ids_that_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    folder = small_index(tmp_path / "index").path
    with pytest.raises(
        InputError, match=r"remove: id 'id3' is not in .* \(2 of 3 ids are not\); nothing was"
    ):
        IndexFolder(folder).remove(["id0", "id3", "nobody"])
    assert len(content(folder)) == 19


def test_a_folder_that_is_no_index_is_refused_with_the_way_out(tmp_path: Path) -> None:
    for place, what in ((tmp_path, "is not an index"), (tmp_path / "none", "does not exist")):
        with pytest.raises(InputError, match=f"{what}; `asl-fast index build` makes"):
            Snapshot(place)
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="holds other files; name a new or empty folder"):
        IndexFolder(tmp_path).create(num_dims=3)
    with pytest.raises(InputError, match="is an index of 19 rows already"):
        IndexFolder(small_index(tmp_path / "index").path).create(num_dims=3)


def test_the_model_of_the_first_rows_is_that_of_an_index_made_without_one(tmp_path: Path) -> None:
    index = IndexFolder(tmp_path / "index")
    index.create(num_dims=NUM_DIMS)
    index.add([batch(0, 2, fingerprint="a" * 64)])
    with pytest.raises(InputError, match="aaaaaaaaaaaa"):
        index.add([batch(5, 2, fingerprint="b" * 64)])
