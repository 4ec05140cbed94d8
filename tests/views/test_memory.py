"""What is kept of the photos that have gone by."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import jpeg
from test_processes import children
from test_views import orders_of

from asl_fast.views import CpuExecutor, MemoryPhotos, stream
from asl_fast.views.cache import PixelCache

_MB = 1 << 20


def test_the_cache_keeps_what_was_used_last_within_its_bytes():
    cache = PixelCache(10)
    for key in range(4):
        cache.put(key, np.zeros(3, np.uint8))
        cache.get(0)
    assert [key for key in range(4) if cache.get(key) is not None] == [0, 2, 3] and cache.num_bytes == 9
    cache.put(9, np.zeros(11, np.uint8))
    assert cache.get(9) is None and cache.num_bytes == 9
    cache.put(8, np.zeros(10, np.uint8))
    assert cache.get(8) is not None and cache.num_bytes == 10


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
