"""What is kept of the photos that have gone by."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import jpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from test_processes import children
from test_views import orders_of

from asl_fast.views import CpuExecutor, MemoryPhotos, stream
from asl_fast.views.cache import PhotoCache
from asl_fast.views.scaled import Need, ScaledPhoto, decode_scaled

_MB = 1 << 20


@pytest.fixture(scope="module")
def large():
    return jpeg(630, 470, seed=0)


def decoded(num_bytes):
    return ScaledPhoto(np.zeros((1, num_bytes, 1), np.uint8), (num_bytes, 1), np.eye(3))


def whole(edge_px):
    return [Need(1.0, 1.0, edge_px)]


def test_the_cache_keeps_what_was_used_last_within_its_bytes():
    cache = PhotoCache(10)
    for number in range(4):
        cache.put(number, None, decoded(3))
        cache.get(0, None)
    assert [number for number in range(4) if cache.get(number, None)] == [0, 2, 3]
    assert cache.num_bytes == 9
    cache.put(9, None, decoded(11))
    assert cache.get(9, None) is None and cache.num_bytes == 9
    cache.put(8, None, decoded(10))
    assert cache.get(8, None) and cache.num_bytes == 10
    cache.put(8, whole(5), decoded(4))
    assert cache.get(8, whole(5)) and cache.get(8, None) is None and cache.num_bytes == 4


SHARES = st.floats(0.05, 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(), st.lists(st.builds(Need, SHARES, SHARES, st.integers(1, 300)), min_size=1, max_size=3)
        ),
        max_size=12,
    )
)
def test_the_cache_gives_the_size_that_decoding_would_give(large, asked):
    cache = PhotoCache(1 << 30)
    for needs in asked:
        fresh = decode_scaled(large, needs)
        kept = cache.get(0, needs)
        if kept is not None:
            assert kept.pixels.shape == fresh.pixels.shape
        cache.put(0, needs, fresh)
        assert cache.get(0, needs) is not None
    assert cache.num_bytes <= 630 * 470 * 3


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="reads memory from /proc")
def test_memory_is_flat_over_100_000_photos():
    """Each of 100,000 small photos decoded anew for its view, by two workers with caches that overflow."""
    photos = MemoryPhotos([jpeg(60 + seed, 90 - seed, seed) for seed in range(40)])
    orders = orders_of(len(photos), 2000, seed=0)
    batches = (orders[first % 2000 :][:40] for first in range(0, 100_000, 40))
    others = children(os.getpid())
    seen, num_views = [], 0
    with CpuExecutor(photos, num_workers=2, cache_bytes=100_000) as executor:
        for number, made in enumerate(stream(executor, batches)):
            num_views += len(made.trace_B)
            if number % 100 == 0:
                seen.append([resident(pid) for pid in (os.getpid(), *(children(os.getpid()) - others))])
    assert num_views == 100_000
    grown = np.array(seen[-1]) - np.array(seen[5])
    assert grown.max() < 8 * _MB, (grown / _MB, np.array(seen) / _MB)


def resident(process):
    """Bytes in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
