"""Fixtures of the model tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from tiny_descriptor import make_descriptor

from asl_fast.models import Descriptor


@pytest.fixture
def tiny() -> Descriptor:
    return make_descriptor()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(
        0, 256, (3, 3, 64, 64), generator=torch.Generator().manual_seed(1), dtype=torch.uint8
    )


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks: a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
