"""Views by worker processes: the same as by one, and nothing left behind."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from test_views import FIT, orders_of, same

from asl_fast.edits import KINDS, RECIPES, Chain, Fit
from asl_fast.views import CpuExecutor, MemoryPhotos, ViewOrder, stream
from asl_fast.views.messages import chain_of, plain_chain, plain_trace, trace_of


@pytest.fixture(scope="module")
def broken_among(encoded):
    return MemoryPhotos([*encoded[:3], b"no photo", *encoded[3:], encoded[0][:300]])


@pytest.fixture(scope="module")
def executors(broken_among):
    executors = [CpuExecutor(broken_among, num_workers=num) for num in (0, 1, 2, 3)]
    yield executors
    for executor in executors:
        executor.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 7), max_size=9), st.sampled_from(sorted(RECIPES)), st.integers(0, 1 << 30))
def test_any_orders_give_the_same_views_whoever_makes_them(executors, photos, recipe, seed):
    rng = np.random.default_rng(seed)
    orders = [ViewOrder(photo, RECIPES[recipe].sample(rng, 1.0, fit=FIT)) for photo in photos]
    made = [executor.make(orders) for executor in executors]
    for other in made[1:]:
        same(made[0], other)


def test_workers_tell_of_a_broken_photo_once(broken_among):
    chain = Chain((FIT,))
    with CpuExecutor(broken_among, num_workers=2) as executor:
        batches = [[ViewOrder(number, chain) for number in range(8)]] * 4
        made = list(stream(executor, batches))
    told = [failure.id for views in made for failure in views.failures]
    assert sorted(told) == ["3", "7"]
    assert all(views.photo_B.tolist() == [0, 1, 2, 4, 4, 5, 6, 0] for views in made)


def test_only_broken_photos_are_one_clear_error():
    with (
        CpuExecutor(MemoryPhotos([b""] * 4), num_workers=2) as executor,
        pytest.raises(ValueError, match="none of 4 photos can be decoded; photo 2: empty file"),
    ):
        executor.make([ViewOrder(2, Chain((FIT,)))])


def test_chains_survive_the_wire():
    rng = np.random.default_rng(0)
    every = Chain(tuple(kind.sample(rng, 0.7) for _ in range(5) for kind in KINDS.values()))
    every.steps((90, 70))  # what an edit may keep for itself is no parameter
    assert chain_of(json.loads(json.dumps(plain_chain(every)))) == every


def test_an_edit_that_is_no_kind_needs_this_process(photos):
    class Own(Fit):
        """Workers can't import it."""

    orders = [ViewOrder(0, Chain((Own(edge_px=8),)))]
    with CpuExecutor(photos, num_workers=1) as executor:
        with pytest.raises(ValueError, match="Own is no kind of edit that a worker process knows"):
            executor.make(orders)
        assert len(executor.make([ViewOrder(0, Chain((FIT,)))]).trace_B) == 1


def test_traces_survive_the_wire_to_the_bit(photos):
    with CpuExecutor(photos, num_workers=0) as executor:
        for made in executor.make(orders_of(6, 40, seed=3)).trace_B:
            back = trace_of(json.loads(json.dumps(plain_trace(made))))
            assert_array_equal(back.mask(), made.mask())
            assert (back.content, back.shown) == (made.content, made.shown)


def test_views_grow_beyond_the_first_shared_memory(photos):
    with CpuExecutor(photos, num_workers=1) as executor, CpuExecutor(photos, num_workers=0) as here:
        for num_views in (1, 7, 2):
            orders = [ViewOrder(1, order.chain) for order in orders_of(6, num_views, seed=num_views)]
            same(executor.make(orders), here.make(orders))


def test_a_source_that_fails_otherwise_ends_the_batch_and_not_the_executor(encoded):
    class Faulty(MemoryPhotos):
        def data(self, number):
            if number == 1:
                raise KeyError("a fault of the source")
            return super().data(number)

    with CpuExecutor(Faulty(encoded), num_workers=1) as executor:
        with pytest.raises(KeyError, match="a fault of the source"):
            executor.make([ViewOrder(1, Chain((FIT,)))])
        made = executor.make([ViewOrder(0, Chain((FIT,)))] * 5)
        assert made.photo_B.tolist() == [0] * 5 and made.failures == ()


def test_a_killed_worker_is_one_clear_error(photos):
    others = children(os.getpid())
    with CpuExecutor(photos, num_workers=1) as executor:
        executor.make(orders_of(6, 2, seed=0))
        (worker,) = children(os.getpid()) - others
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(
            RuntimeError, match="a worker process was ended by signal 9; it made views of photo 0 in memory"
        ):
            executor.make([ViewOrder(0, Chain((FIT,)))])


def test_closing_leaves_no_process_thread_or_open_file(photos):
    gc.collect()  # what earlier tests left for it
    before = open_files(), set(threading.enumerate()), children(os.getpid())
    for _ in range(2):
        executor = CpuExecutor(photos, num_workers=2)
        executor.make(orders_of(6, 4, seed=0))
        executor.close()
        executor.close()
    assert (open_files(), set(threading.enumerate()), children(os.getpid())) == before


def test_a_forgotten_executor_leaves_nothing_either(photos):
    before = children(os.getpid())
    executor = CpuExecutor(photos, num_workers=1)
    executor.make(orders_of(6, 2, seed=0))
    del executor
    gc.collect()
    assert children(os.getpid()) == before


def test_closing_while_a_batch_is_made_ends_it(photos):
    before = children(os.getpid())
    executor = CpuExecutor(photos, num_workers=2)
    views = stream(executor, (orders_of(6, 40, seed) for seed in range(100)), ahead=2)
    next(views)
    executor.close()
    with pytest.raises(RuntimeError):
        list(views)
    assert children(os.getpid()) == before


_CONSUMER = """
import sys, time
sys.path[:0] = {paths!r}
from test_views import orders_of
from conftest import jpeg
from asl_fast.views import CpuExecutor, MemoryPhotos, stream
executor = CpuExecutor(MemoryPhotos([jpeg(90, 70, seed) for seed in range(6)]), num_workers=2)
for number, made in enumerate(stream(executor, (orders_of(6, 8, seed) for seed in range(10**6)))):
    if number == 2:
        print("going", flush=True)
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_consumer_leaves_no_process(how):
    script = _CONSUMER.format(paths=[str(Path(__file__).parent)])
    consumer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert consumer.stdout is not None and consumer.stdout.readline() == b"going\n"
    workers = children(consumer.pid)
    assert len(workers) == 2
    consumer.send_signal(how)
    consumer.wait(20)
    consumer.stdout.close()
    until = time.monotonic() + 20
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < until
        time.sleep(0.02)


def children(parent):
    """Processes whose parent this is, those that have ended but were not waited for among them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # ended since
            continue
        if int(fields[1]) == parent:
            found.add(int(path.parent.name))
    return found


def alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def open_files():
    return len(os.listdir("/proc/self/fd"))
