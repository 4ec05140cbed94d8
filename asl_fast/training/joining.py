"""Items joined by links: which ones hang together."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def joined(num_items: int, links: Iterable[tuple[int, int]], most: int | None = None) -> NDArray[np.int64]:
    """The set of each item, numbered from 0 in the order of their first items.

    Links are followed in their order; one that would make a set of more than `most` items is left out.
    """
    parent = list(range(num_items))
    size = [1] * num_items

    def root_of(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for one, other in links:
        a, b = root_of(one), root_of(other)
        if a != b and (most is None or size[a] + size[b] <= most):
            parent[max(a, b)] = min(a, b)  # so a root is its set's first item
            size[min(a, b)] = size[a] + size[b]
    root_N = np.array([root_of(item) for item in range(num_items)], np.int64)
    return np.unique(root_N, return_inverse=True)[1].reshape(-1).astype(np.int64)
