"""The search on a GPU against the brute force, with nothing but NumPy and pytest."""

from __future__ import annotations

import numpy as np
import pytest

from asl_fast import _C
from asl_fast.kernels.ratio_search import DIRECTIONS, PreparedRefs, ask
from asl_fast.kernels.ratio_search import reference as plain

pytestmark = pytest.mark.skipif(not _C.build_info()["cuda_devices"], reason="needs a GPU and a CUDA build")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", ["normal", "many ties", "near ties", "any scale"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 33, 5), (60, 700, 129), (300, 5000, 256), (3, 20_000, 64)])
def test_the_gpu_gives_the_bits_of_the_brute_force(
    shape: tuple[int, int, int], kind: str, direction: str
) -> None:
    num_queries, num_refs, num_dims = shape
    rng = np.random.default_rng(num_refs)
    row_ND = rng.standard_normal((num_queries + num_refs, num_dims))
    if kind == "many ties":
        row_ND = np.round(row_ND)
    elif kind == "near ties":  # closer together than the screen can tell apart
        row_ND = 1 + 1e-6 * row_ND
    elif kind == "any scale":
        row_ND *= 10.0 ** rng.uniform(-30, 30, (len(row_ND), 1))
    row_ND = row_ND.astype(np.float32)
    row_ND[~row_ND.any(axis=1), 0] = 1
    query_QD, ref_ND = row_ND[:num_queries], row_ND[num_queries:]
    query_norm_Q, ref_norm_N = rng.integers(1, 6, num_queries) / 3.0, rng.integers(1, 6, num_refs) / 3.0
    tau_Q = rng.choice([0.5, 1.0, 2.0], num_queries)
    expected = plain.ratio_search(
        query_QD,
        ref_ND,
        query_norm_Q=query_norm_Q,
        ref_norm_N=ref_norm_N,
        k=10,
        tau_Q=tau_Q,
        direction=direction,
    )
    refs = PreparedRefs(ref_ND, norm_N=ref_norm_N, device="cuda")
    assert refs.path == "cuda"
    found = refs.nearest(ask(query_QD, tau=tau_Q, direction=direction, norm_Q=query_norm_Q), 10)
    for want, got in zip(expected, (found.ref_row_QK, found.score_QK, found.ratio_QK), strict=True):
        np.testing.assert_array_equal(got.view(np.int64), want.view(np.int64))
