"""What pairs add to each row, summed in the order of the pairs.

PyTorch's own gradient of picking rows adds floats in any order on several threads and on a GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pair_sums(by_first_P: Tensor, by_second_P: Tensor, pair_index_P2: Tensor, num_rows: int) -> Tensor:
    """(num_rows,): by_first_P summed over the pairs a row is first of, by_second_P where it is second.

    A pair with a -1 must add 0.
    """
    row_E = pair_index_P2.clamp_min(0).T.reshape(-1)
    row_E, order_E = row_E.sort(stable=True)
    return torch.segment_reduce(
        torch.cat([by_first_P, by_second_P])[order_E],
        "sum",
        lengths=row_E.bincount(minlength=num_rows),
        initial=0.0,
    )
