import functools

import pytest
import torch
from rank_pool import RankPool


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def rank_pool(tmp_path_factory):
    pool = RankPool(3, tmp_path_factory.mktemp("ranks"))
    yield pool
    pool.close()


@pytest.fixture(params=[2, 3], ids=["ranks=2", "ranks=3"])
def ranks(request, rank_pool):
    """(world_size, call on all of its processes)."""
    return request.param, functools.partial(rank_pool.call, request.param)
