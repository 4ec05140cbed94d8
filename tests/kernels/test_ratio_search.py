"""ratio_search against the float64 brute force: the same bits, whatever runs."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asl_fast import _C, records
from asl_fast.kernels.ratio_search import (
    DIRECTIONS,
    MAX_BIAS,
    MAX_SCALE,
    PreparedRefs,
    Question,
    ask,
    plain_soft,
)
from asl_fast.kernels.ratio_search import reference as plain
from asl_fast.thresholds import SoftRatio

PATHS = _C.build_info()["cpu_paths"]


@dataclass(frozen=True)
class Gpus:
    """Emulated ones. seed: of the order in which their threads run."""

    num_gpus: int = 1
    gpu_bytes: int = 1 << 30
    chunk_rows: int = 1 << 18
    capacity: int = 1024
    buffer_bytes: int = 1 << 30
    rows_on_host: bool = False
    seed: int = 0


GPUS = st.builds(
    Gpus,
    num_gpus=st.sampled_from([1, 1, 2, 5]),
    chunk_rows=st.sampled_from([33, 200, 1000]),
    capacity=st.sampled_from([1, 16, 4000]),
    buffer_bytes=st.sampled_from([1, 1 << 16, 1 << 30]),
    rows_on_host=st.booleans(),
    seed=st.integers(0, 2**31),
)


@dataclass(frozen=True)
class Case:
    """One search: what is asked, of which rows."""

    query_QD: NDArray[np.float32]
    ref_ND: NDArray[np.float32]
    query_norm_Q: NDArray[np.float64]
    ref_norm_N: NDArray[np.float64]
    k: int
    tau_Q: NDArray[np.float64]
    min_score: float | NDArray[np.float64] | None  # one number or one per query
    direction: str
    rank_N: NDArray[np.int64] | None = None
    grouping: str = "never"
    bias: float | NDArray[np.float64] = 0.0  # one number or one per query
    scale: float | NDArray[np.float64] = 1.0  # the same
    soft: SoftRatio | None = None

    def expected(self) -> plain.Found:
        return plain.ratio_search(
            self.query_QD,
            self.ref_ND,
            query_norm_Q=self.query_norm_Q,
            ref_norm_N=self.ref_norm_N,
            k=self.k,
            tau_Q=self.tau_Q,
            min_score=-np.inf if self.min_score is None else self.min_score,
            bias=self.bias,
            scale=self.scale,
            soft=self.soft,
            direction=self.direction,
            rank_N=self.rank_N,
        )

    def question(self) -> Question:
        return ask(
            self.query_QD,
            tau=self.tau_Q,
            min_score=self.min_score,
            bias=self.bias,
            scale=self.scale,
            soft=self.soft,
            direction=self.direction,
            norm_Q=self.query_norm_Q,
        )

    def prepared(self, path: str, num_threads: int) -> PreparedRefs:
        refs = PreparedRefs(
            self.ref_ND,
            norm_N=self.ref_norm_N,
            num_threads=num_threads,
            grouping=self.grouping,
            _instructions=path,
        )
        assert refs.path == path
        return refs

    def found(self, path: str, num_threads: int) -> plain.Found:
        found = self.prepared(path, num_threads).nearest(self.question(), self.k, rank_N=self.rank_N)
        return found.ref_row_QK, found.score_QK, found.ratio_QK

    def best_pairs(self, path: str, num_threads: int, num_pairs: int, capped: bool) -> plain.FoundPairs:
        refs = self.prepared(path, num_threads)
        k = self.k if capped else None
        best = refs.best_pairs(self.question(), num_pairs, k=k, rank_N=self.rank_N)
        return best.query_row_M, best.ref_row_M, best.score_M, best.ratio_M

    def expected_pairs(self, num_pairs: int, capped: bool) -> plain.FoundPairs:
        case = self if capped else replace(self, k=len(self.ref_ND))
        return plain.best_pairs(case.expected(), num_pairs)

    def on(
        self, gpus: Gpus, ref: NDArray[Any] | _C.RowsOnGpu | None = None, query: _C.RowsOnGpu | None = None
    ) -> tuple[_C.Refs, _C.Asked]:
        """ref, query: the same rows as they are handed over; None: as float32 in this machine's memory."""
        ref_norm_N, query_norm_Q = plain.row_norms(self.ref_ND), plain.row_norms(self.query_QD)
        refs = _C.prepare_emulated(
            self.ref_ND if ref is None else ref, ref_norm_N, self.ref_norm_N, **vars(gpus)
        )
        floor_Q, bias_Q, scale_Q = np.full((3, len(self.query_QD)), [[-np.inf], [0], [1]])
        bias_Q[:], scale_Q[:] = self.bias, self.scale
        if self.min_score is not None:
            floor_Q[:] = self.min_score
        asked = _C.Asked(
            self.query_QD if query is None else query, query_norm_Q, self.query_norm_Q, self.tau_Q, floor_Q,
            bias_Q, scale_Q, plain_soft(self.soft), self.direction, self.rank_N,
        )  # fmt: skip
        return refs, asked


def rows_of(kind: str, num_rows: int, num_dims: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Rows without an all-zero one, of a kind that some shortcut might get wrong."""
    row_ND = rng.standard_normal((num_rows, num_dims))
    if kind == "small integers":  # many exact ties
        row_ND = rng.integers(-2, 3, (num_rows, num_dims)).astype(float)
    elif kind == "all equal":
        row_ND[:] = row_ND[0]
    elif kind == "duplicates":
        row_ND = row_ND[rng.integers(0, max(1, num_rows // 4), num_rows)]
    elif kind == "near ties":  # closer together than the screen can tell apart
        row_ND = 1 + 1e-6 * row_ND
    elif kind == "sparse":
        row_ND *= rng.random((num_rows, num_dims)) < 0.1
    elif kind == "denormal":
        row_ND = rng.integers(-3, 4, (num_rows, num_dims)) * 2.0**-149
    elif kind == "any scale":
        row_ND *= 10.0 ** rng.uniform(-44, 37, (num_rows, 1))
    elif kind == "any scale inside a row":
        row_ND *= 10.0 ** rng.uniform(-44, 37, (num_rows, num_dims))
    row_ND = row_ND.astype(np.float32)
    row_ND[~row_ND.any(axis=1), 0] = 2.0**-149 if kind == "denormal" else 1.0
    return row_ND


KINDS = [
    "normal",
    "small integers",
    "all equal",
    "duplicates",
    "near ties",
    "sparse",
    "denormal",
    "any scale",
    "any scale inside a row",
]


@st.composite
def cases(draw: st.DrawFn, large: bool = True, soft_too: bool = True) -> Case:
    """large: with sets of more rows and dimensions than a few tiles."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    num_refs = draw(st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 64, 100] + [300, 700] * large))
    num_queries = draw(st.sampled_from([1, 2, 5, 6, 7, 13, 14, 15] + [29, 60] * large))
    num_dims = draw(st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65] + [127, 200] * large)))
    kind = draw(st.sampled_from(KINDS))
    ref_ND = rows_of(kind, num_refs, num_dims, rng)
    query_QD = rows_of(kind, num_queries, num_dims, rng)
    if draw(st.booleans()):  # queries that are references: the highest scores, and ratios of exactly 1
        query_QD[::2] = ref_ND[rng.integers(0, num_refs, len(query_QD[::2]))]
    if draw(st.booleans()):
        query_norm_Q, ref_norm_N = plain.row_norms(query_QD), plain.row_norms(ref_ND)
    else:  # few different norms: ratios that hit tau exactly
        query_norm_Q = rng.integers(1, 6, num_queries) / 3.0
        ref_norm_N = rng.integers(1, 6, num_refs) / 3.0
    some_ratio = float(query_norm_Q[0] / ref_norm_N[0])
    tau = draw(st.sampled_from(["one", "exact", "half", "each", "infinite"]))
    tau_Q = {
        "one": np.ones(num_queries),
        "exact": np.full(num_queries, some_ratio if some_ratio > 0 else 1.0),
        "half": np.full(num_queries, 0.5),
        "each": rng.uniform(0.2, 3, num_queries),
        "infinite": np.full(num_queries, np.inf),
    }[tau]
    k = draw(st.sampled_from([1, 2, 10, 100, 1000]))
    score_QN = plain.dots(query_QD, ref_ND)
    score_QN /= plain.row_norms(query_QD)[:, None] * plain.row_norms(ref_ND)
    bias = draw(st.sampled_from(["none", "each", "scores", "one", "tiny", "most"]))
    bias_Q = {
        "none": np.zeros(num_queries),
        "each": rng.uniform(-2, 2, num_queries),
        "scores": rng.choice(score_QN, axis=1),  # a pair's own: differences of 0
        "one": np.full(num_queries, 0.7),
        "tiny": rng.uniform(-1, 1, num_queries) * 1e-9,
        "most": rng.choice([-1, 1], num_queries) * MAX_BIAS,  # scores that rounding makes equal
    }[bias]
    scale_Q = {
        "none": np.ones(num_queries),
        "each": rng.uniform(0.05, 3, num_queries),
        "most": MAX_SCALE ** rng.choice([-1.0, 1.0], num_queries),
    }[draw(st.sampled_from(["none", "none", "each", "most"]))]
    soft = None
    if soft_too and draw(st.booleans()):
        weight, soft_tau = draw(st.sampled_from([0.0, 0.1, 3.0, 1e6])), draw(st.sampled_from([0.2, 1.0, 1.4]))
        soft = SoftRatio(weight=weight, tau=soft_tau)
    min_score = draw(st.sampled_from([None, -1.0, 0.0, 0.3, "scores"]))
    if min_score == "scores":  # each query's own, met exactly by a pair
        final_QN = (score_QN - bias_Q[:, None]) * scale_Q[:, None]
        if soft is not None:
            final_QN -= soft.losses(query_norm_Q[:, None] / ref_norm_N)
        min_score = rng.choice(final_QN, axis=1)
    rank_N = None
    if draw(st.booleans()):  # ties by another number than the row, and rows that are left out
        rank_N = rng.permutation(num_refs) * 3
        rank_N[rng.random(num_refs) < draw(st.sampled_from([0.0, 0.3, 1.0]))] = -1
    direction = draw(st.sampled_from(DIRECTIONS))
    grouping = draw(st.sampled_from(["never", "always"]))
    return Case(
        query_QD, ref_ND, query_norm_Q, ref_norm_N, k, tau_Q, min_score, direction, rank_N, grouping, bias_Q,
        scale_Q, soft,
    )  # fmt: skip


def assert_same_bits(expected: plain.Found | plain.FoundPairs, found: plain.Found | plain.FoundPairs) -> None:
    names = ("query_row", "ref_row", "score", "ratio")[-len(expected) :]
    for name, want, got in zip(names, expected, found, strict=True):
        assert want.shape == got.shape, f"{name}: {got.shape} instead of {want.shape}"
        np.testing.assert_array_equal(got.view(np.int64), want.view(np.int64), err_msg=name)


@settings(max_examples=250, deadline=None)
@given(case=cases(), num_threads=st.sampled_from([1, 2, 7]), path=st.sampled_from(PATHS))
def test_every_path_and_thread_count_gives_the_bits_of_the_brute_force(
    case: Case, num_threads: int, path: str
) -> None:
    assert_same_bits(case.expected(), case.found(path, num_threads))


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases(large=False), num_threads=st.sampled_from([1, 2, 7]))
def test_ten_thousand_cases_give_the_bits_of_the_brute_force_on_every_path(
    case: Case, num_threads: int
) -> None:
    expected = case.expected()
    for path in PATHS:
        assert_same_bits(expected, case.found(path, num_threads))


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    side=st.sampled_from(["queries", "references"]),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 0.0]),
    num_rows=st.integers(1, 40),
    num_dims=st.integers(1, 20),
)
def test_a_row_without_direction_is_refused_by_its_number(
    seed: int, side: str, bad: float, num_rows: int, num_dims: int
) -> None:
    rng = np.random.default_rng(seed)
    row_ND = rows_of("normal", num_rows, num_dims, rng)
    row = int(rng.integers(num_rows))
    row_ND[row, :] = 0 if bad == 0 else row_ND[row, :]
    row_ND[row, int(rng.integers(num_dims))] = bad
    good_ND = rows_of("normal", 3, num_dims, rng)
    with pytest.raises(ValueError, match=f"{side}: row {row} (holds NaN or infinite values|is all zeros)"):
        PreparedRefs(good_ND if side == "queries" else row_ND).search(row_ND)


EMULATED = settings(max_examples=40, deadline=None)  # the kernels of the GPU path, in emulated thread blocks


@EMULATED
@given(case=cases(soft_too=False), gpus=GPUS)
def test_lists_of_the_gpu_path_that_overflow_drop_no_pair(case: Case, gpus: Gpus) -> None:
    refs, asked = case.on(gpus)
    assert_same_bits(case.expected(), refs.search(asked, case.k, 1, None))


FLOATS = {"f16": np.dtype(np.float16), "f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}


def closest(row_ND: NDArray[np.float32], kind: str) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Rows of a number type, and what they are as float32; only finite ones with a direction."""
    if kind == "bf16":
        as_floats = (row_ND.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
    else:
        with np.errstate(over="ignore", under="ignore"):
            as_floats = row_ND.astype(FLOATS[kind]).astype(np.float32)
    lost_N = ~np.isfinite(as_floats).all(axis=1) | ~as_floats.any(axis=1)
    as_floats[lost_N] = np.float32(1)
    if kind == "bf16":
        return (as_floats.view(np.uint32) >> np.uint32(16)).astype(np.uint16), as_floats
    return as_floats.astype(FLOATS[kind]), as_floats


@EMULATED
@given(
    case=cases(soft_too=False), gpus=GPUS, ref_kind=st.sampled_from(["bf16", *FLOATS]),
    query_kind=st.sampled_from(["bf16", *FLOATS]), sides=st.sampled_from(["refs", "queries", "both"]),
)  # fmt: skip
def test_rows_that_lie_on_the_gpu_are_searched_there_and_give_the_bits_of_the_brute_force(
    case: Case, gpus: Gpus, ref_kind: str, query_kind: str, sides: str
) -> None:
    """This machine can't read them there: whoever follows an address of the emulated GPU ends the process."""
    ref, ref_ND = closest(case.ref_ND, ref_kind)
    query, query_QD = closest(case.query_QD, query_kind)
    case = replace(case, ref_ND=ref_ND, query_QD=query_QD)
    refs_there, queries_there = _C.EmulatedRows(ref, ref_kind), _C.EmulatedRows(query, query_kind)
    for each, rows in ((refs_there, ref_ND), (queries_there, query_QD)):
        np.testing.assert_array_equal(_C.emulated_row_norms(each.there), plain.row_norms(rows))
    refs, asked = case.on(
        replace(gpus, num_gpus=1),
        refs_there.there if sides != "queries" else ref,
        queries_there.there if sides != "refs" else None,
    )
    assert_same_bits(case.expected(), refs.search(asked, case.k, 1, None))
    found = refs.best_pairs(asked, 0, 50, 1, None)
    assert_same_bits(case.expected_pairs(50, False), found)


def test_a_pool_takes_no_pair_twice_from_a_list_of_the_gpu_path_that_overflowed() -> None:
    case = of_a_size(5, 300, 8, direction="both")
    refs, asked = case.on(Gpus(capacity=16, chunk_rows=200))
    assert_same_bits(case.expected_pairs(100, False), refs.best_pairs(asked, 0, 100, 1, None))


@pytest.mark.parametrize("sign", [0.49, -0.49])
@pytest.mark.parametrize("rough_side", ["query", "ref"])
@pytest.mark.parametrize("there", [False, True])
def test_the_bound_of_the_gpu_path_holds_where_all_errors_add_up(
    there: bool, rough_side: str, sign: float
) -> None:
    """Half a code in every dimension against a row along that error: any less slack misses the pair."""
    rough_1D = (np.arange(512) % 3 + sign).astype(np.float32)[None]
    smooth_1D = np.ones((1, 512), np.float32)
    rough_1D[0, 0], smooth_1D[0, 0] = 127, 0
    query_QD, ref_ND = (rough_1D, smooth_1D) if rough_side == "query" else (smooth_1D, rough_1D)
    case = of_a_size(1, 1, 512, direction="both", query_QD=query_QD, ref_ND=ref_ND)
    case = replace(case, min_score=float(case.expected()[1][0, 0]))
    rows = [_C.EmulatedRows(row_ND, "f32") for row_ND in (ref_ND, query_QD)]
    refs, asked = case.on(Gpus(), *([each.there for each in rows] if there else []))
    assert_same_bits(case.expected(), refs.search(asked, case.k, 1, None))


@pytest.mark.parametrize("where", ["gpu", "host", "there"])
def test_rows_behind_the_first_block_on_their_way_to_the_gpu_are_found(where: str) -> None:
    """The last 300 rows by norm of two blocks: 64 MB on their way, or 65,536 rows that are coded in place."""
    num_refs, num_dims = (66_000, 8) if where == "there" else (17_500, 1000)
    norm_N = np.arange(num_refs, 0.0, -1)
    case = of_a_size(2, num_refs, num_dims, direction="original", ref_norm_N=norm_N)
    case = replace(case, query_norm_Q=np.full(2, 300.0), tau_Q=np.full(2, 0.9999))
    there = _C.EmulatedRows(case.ref_ND, "f32") if where == "there" else None
    refs, asked = case.on(Gpus(rows_on_host=where == "host"), None if there is None else there.there)
    found = refs.search(asked, case.k, 1, None)
    assert_same_bits(case.expected(), found)
    assert found[0].min() >= num_refs - 300


def test_the_gpu_codes_rows_as_the_cpu_does() -> None:
    """So that what the screen lets through, not only the answer, is the same wherever rows are coded."""
    case = of_a_size(150, 700, 37, direction="both")
    scored = []
    for there in (False, True):
        rows = [_C.EmulatedRows(row_ND, "f32") for row_ND in (case.ref_ND, case.query_QD)]
        refs, asked = case.on(Gpus(capacity=64), *([each.there for each in rows] if there else []))
        counts: dict[str, int] = {}
        assert_same_bits(case.expected(), refs.search(asked, case.k, 1, None, counts))
        scored.append(counts["scored"])
    assert scored[0] == scored[1]


def test_rows_on_the_gpu_are_refused_where_another_device_searches() -> None:
    case = of_a_size(4, 30, 8)
    there = [_C.EmulatedRows(row_ND, "f32") for row_ND in (case.ref_ND, case.query_QD)]
    with pytest.raises(ValueError, match="references on one GPU can't be dealt out"):
        case.on(Gpus(num_gpus=2), there[0].there)
    refs, asked = case.on(Gpus(num_gpus=2), None, there[1].there)
    with pytest.raises(ValueError, match="queries on one GPU can't be asked of several"):
        refs.search(asked, 1, 1, None)
    norm_N = plain.row_norms(case.ref_ND)
    with pytest.raises(ValueError, match="queries on a GPU were asked of a CPU"):
        _C.prepare_cpu(case.ref_ND, norm_N, norm_N, None, 1 << 20, 1, "", "never").search(asked, 1, 1, None)


NUM_PAIRS = st.sampled_from([1, 2, 17, 300, 5000, 100_000])


@settings(max_examples=250, deadline=None)
@given(
    case=cases(),
    num_threads=st.sampled_from([1, 2, 7]),
    path=st.sampled_from(PATHS),
    num_pairs=NUM_PAIRS,
    capped=st.booleans(),
)
def test_the_best_pairs_of_all_queries_are_those_of_the_brute_force(
    case: Case, num_threads: int, path: str, num_pairs: int, capped: bool
) -> None:
    expected = case.expected_pairs(num_pairs, capped)
    assert_same_bits(expected, case.best_pairs(path, num_threads, num_pairs, capped))


@EMULATED
@given(case=cases(soft_too=False), gpus=GPUS, num_pairs=NUM_PAIRS, capped=st.booleans())
def test_the_best_pairs_of_the_gpu_path_are_those_of_the_brute_force(
    case: Case, gpus: Gpus, num_pairs: int, capped: bool
) -> None:
    refs, asked = case.on(gpus)
    found = refs.best_pairs(asked, case.k if capped else 0, num_pairs, 1, None)
    assert_same_bits(case.expected_pairs(num_pairs, capped), found)


def of_a_size(num_queries: int, num_refs: int, num_dims: int, **changes: object) -> Case:
    rng = np.random.default_rng(num_refs)
    row_ND = rows_of("normal", num_queries + num_refs, num_dims, rng)
    asked = {
        "query_QD": row_ND[:num_queries],
        "ref_ND": row_ND[num_queries:],
        "query_norm_Q": rng.uniform(1, 2, num_queries),
        "ref_norm_N": rng.uniform(1, 2, num_refs),
        "k": 3,
        "tau_Q": rng.choice([0.8, 1.0, 1.2], num_queries),
        "min_score": None,
        "direction": "copy",
    }
    return Case(**{**asked, **changes})  # type: ignore[arg-type]


def test_a_soft_ratio_that_takes_from_every_pair_does_not_open_the_screen() -> None:
    """What is lost differs by 1.6 from the shortest to the longest, by little within a stretch of them."""
    rng = np.random.default_rng(0)
    row_ND = rows_of("normal", 30_100, 64, rng)
    norm_N = np.exp(rng.normal(0, 0.4, 30_000))
    soft = SoftRatio(weight=0.5, tau=0.01)
    counts: list[dict[str, int]] = [{}, {}]
    refs = PreparedRefs(row_ND[100:], norm_N=norm_N, num_threads=1)
    for each, count in zip((None, soft), counts, strict=True):
        found = refs.search(
            row_ND[:100], k=10, direction="both", norm_Q=np.ones(100), soft=each, _counts=count
        )
    plain_case = of_a_size(1, 1, 64, k=10, direction="both", soft=soft)
    expected = replace(
        plain_case, query_QD=row_ND[:100], ref_ND=row_ND[100:], query_norm_Q=np.ones(100), ref_norm_N=norm_N,
        tau_Q=np.ones(100),
    ).expected()  # fmt: skip
    assert_same_bits(expected, (found.ref_row_QK, found.score_QK, found.ratio_QK))
    assert counts[1]["passed"] < 4 * counts[0]["passed"] < 0.06 * counts[0]["screened"]


def test_a_soft_ratio_is_refused_on_gpus_in_one_line() -> None:
    case = of_a_size(5, 40, 8, soft=SoftRatio(weight=0.5, tau=1.0))
    refs, asked = case.on(Gpus())
    with pytest.raises(ValueError, match="a search on GPUs knows no soft ratio; use device='cpu'"):
        refs.search(asked, 3, 1, None)
    with pytest.raises(ValueError, match="a search on GPUs knows no soft ratio; use device='cpu'"):
        refs.best_pairs(asked, 0, 3, 1, None)


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 2 * MAX_SCALE])
def test_a_scale_that_turns_the_order_round_or_has_no_bounds_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be a number from 1e-06 to 1e\\+06"):
        of_a_size(5, 40, 8, scale=np.array([1.0, scale, 1.0, 1.0, 1.0])).question()


@pytest.mark.parametrize("num_dims", [63, 64, 65, 200])
def test_many_tiles_of_the_gpu_path_find_what_the_brute_force_finds(num_dims: int) -> None:
    """More queries than a tile, more references than a strip, dimensions about a slice."""
    case = of_a_size(150, 2500, num_dims)
    refs, asked = case.on(Gpus(capacity=256))
    counts: dict[str, int] = {}
    assert_same_bits(case.expected(), refs.search(asked, case.k, 1, None, counts))
    assert counts["scored"] < 0.3 * counts["screened"]  # the screen does keep most pairs out


def test_a_batch_that_finds_no_room_on_the_gpu_is_halved_and_that_is_said() -> None:
    case = of_a_size(40, 300, 8)
    refs, asked = case.on(Gpus(gpu_bytes=200_000, capacity=256))
    with pytest.warns(RuntimeWarning, match="queries at a time; taking half as many"):
        found = refs.search(asked, case.k, 1, None)
    assert_same_bits(case.expected(), found)
    refs, asked = case.on(Gpus(gpu_bytes=40_000, capacity=256))
    with pytest.raises(ValueError, match="for one query; prepare fewer rows"):
        refs.search(asked, 250, 1, None)


def test_references_that_find_no_room_on_the_gpu_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueError, match=r"the emulated GPU has .* free .* for the references; give a"):
        of_a_size(4, 300, 8).on(Gpus(gpu_bytes=10_000))


def test_a_search_on_the_gpu_path_can_be_stopped_and_leaves_no_memory_behind() -> None:
    case = of_a_size(5, 2000, 8)
    refs, asked = case.on(Gpus(gpu_bytes=1_000_000, capacity=256, chunk_rows=33))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            refs.search(asked, case.k, 1, stop)


def large_case(kind: str, *, num_dims: int = 9, num_refs: int = 4000, k: int = 5, **changes: object) -> Case:
    rng = np.random.default_rng(7)
    ref_ND, query_QD = rows_of(kind, num_refs, num_dims, rng), rows_of(kind, 40, num_dims, rng)
    asked = {
        "query_QD": query_QD,
        "ref_ND": ref_ND,
        "query_norm_Q": rng.uniform(1, 2, 40),
        "ref_norm_N": rng.uniform(1, 2, num_refs),
        "k": k,
        "tau_Q": np.ones(40),
        "min_score": None,
        "direction": "copy",
    }
    return Case(**{**asked, **changes})  # type: ignore[arg-type]


def assert_every_path_agrees(case: Case) -> None:
    expected = case.expected()
    for path in PATHS:
        for num_threads, grouping in ((1, "always"), (2, "never"), (2, "always"), (7, "always")):
            assert_same_bits(expected, replace(case, grouping=grouping).found(path, num_threads))


@pytest.mark.parametrize("kind", ["normal", "all equal", "near ties", "duplicates", "small integers"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_lists_that_overflow_many_times_lose_nothing(kind: str, direction: str) -> None:
    assert_every_path_agrees(large_case(kind, direction=direction))


@pytest.mark.parametrize("num_dims", [257, 600])
def test_rows_longer_than_a_chunk_of_dimensions_are_scored_whole(num_dims: int) -> None:
    assert_every_path_agrees(large_case("normal", num_dims=num_dims, num_refs=700, direction="both"))


def test_a_list_of_4096_is_the_brute_force_one() -> None:
    assert_every_path_agrees(large_case("normal", k=4096, num_refs=9000, direction="both"))


def test_a_list_longer_than_the_references_holds_them_all() -> None:
    case = large_case("duplicates", k=5000, num_refs=1200, direction="both")
    assert (case.expected()[0] >= 0).sum() == 40 * 1200
    assert_every_path_agrees(case)


@pytest.mark.parametrize("kind", ["normal", "all equal", "near ties", "duplicates", "small integers"])
@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("num_queries", [1, 3, 40])
def test_a_pool_that_overflows_many_times_loses_none_of_the_best(
    kind: str, capped: bool, num_queries: int
) -> None:
    case = large_case(kind, num_refs=20_000, k=30, direction="both")
    names = ("query_QD", "query_norm_Q", "tau_Q")
    case = replace(case, **{name: getattr(case, name)[:num_queries] for name in names})
    expected = case.expected_pairs(500, capped)
    for path in PATHS:
        for num_threads, grouping in ((1, "always"), (2, "never"), (7, "always")):
            found = replace(case, grouping=grouping).best_pairs(path, num_threads, 500, capped)
            assert_same_bits(expected, found)


def cloudy_case(num_clouds: int, per_cloud: int, num_dims: int = 32) -> Case:
    """Rows in tight clouds far from one another, and queries in some of the clouds."""
    rng = np.random.default_rng(3)
    centre_CD = rng.standard_normal((num_clouds, num_dims))
    noise_ND = rng.standard_normal((num_clouds * per_cloud, num_dims))
    ref_ND = (np.repeat(centre_CD, per_cloud, axis=0) + 0.1 * noise_ND).astype(np.float32)
    rng.shuffle(ref_ND)
    query_QD = ref_ND[:40] + np.float32(0.05) * rng.standard_normal((40, num_dims)).astype(np.float32)
    return large_case("normal", num_dims=num_dims, num_refs=len(ref_ND), ref_ND=ref_ND, query_QD=query_QD)


def test_grouped_references_give_the_same_bits_for_a_fraction_of_the_products() -> None:
    case = cloudy_case(60, 150)
    expected = case.expected()
    for path in PATHS:
        screened = {}
        for grouping in ("never", "always"):
            counts: dict[str, int] = {}
            refs = replace(case, grouping=grouping).prepared(path, 1)
            found = refs.nearest(case.question(), case.k, _counts=counts)
            assert_same_bits(expected, (found.ref_row_QK, found.score_QK, found.ratio_QK))
            screened[grouping] = counts["screened"]
        most = 0.8 if path == "plain" else 0.5  # its panels are of 8 rows: looks alone are a quarter
        assert screened["always"] < most * screened["never"], path


def test_rows_are_grouped_only_where_many_have_near_ones() -> None:
    clouds = cloudy_case(700, 100).ref_ND
    isotropic = np.random.default_rng(4).standard_normal(clouds.shape, np.float32)
    for ref_ND, is_grouped in ((clouds, True), (isotropic, False)):
        screened = {}
        for grouping in ("never", "auto"):
            counts: dict[str, int] = {}
            PreparedRefs(ref_ND, grouping=grouping).search(ref_ND[:20], k=1, _counts=counts)
            screened[grouping] = counts["screened"]
        assert (screened["auto"] < screened["never"] / 2) == is_grouped


def test_an_unknown_grouping_is_refused() -> None:
    with pytest.raises(ValueError, match="grouping must be one of auto, always, never, got 'often'"):
        PreparedRefs([[1.0, 2.0]], grouping="often")


def test_one_query_split_over_threads_gives_the_same_bits() -> None:
    case = large_case("duplicates", num_refs=20_000)
    names = ("query_QD", "query_norm_Q", "tau_Q")
    assert_every_path_agrees(replace(case, **{name: getattr(case, name)[:1] for name in names}))


def test_a_ratio_of_exactly_tau_is_a_copy() -> None:
    ref_ND = np.array([[3, 4], [6, 8]], np.float32)
    found = PreparedRefs(ref_ND).search(np.array([[4, 3]], np.float32), k=2, tau=1.0)
    assert found.ref_row_QK.tolist() == [[0, 1]]
    assert found.ratio_QK.tolist() == [[1.0, 0.5]]


def test_where_there_is_none_stands_minus_one_minus_infinity_and_nan() -> None:
    found = PreparedRefs([[3.0, 4.0]]).search([[30.0, 40.0]], k=3)
    assert found.ref_row_QK.tolist() == [[-1, -1, -1]]
    assert (found.score_QK == -np.inf).all()
    assert np.isnan(found.ratio_QK).all()


def test_no_queries_find_nothing() -> None:
    found = PreparedRefs([[3.0, 4.0]]).search(np.empty((0, 2), np.float32), k=3)
    assert found.ref_row_QK.shape == (0, 3)


def test_half_and_double_rows_are_searched_as_float32() -> None:
    rng = np.random.default_rng(3)
    row_ND = rng.standard_normal((50, 8)).astype(np.float16)
    want = PreparedRefs(row_ND.astype(np.float32)).search(row_ND.astype(np.float32), k=3)
    for kind in (np.float16, np.float64):
        found = PreparedRefs(row_ND.astype(kind)).search(row_ND.astype(kind), k=3)
        np.testing.assert_array_equal(found.score_QK, want.score_QK)


def test_rows_in_any_memory_layout_give_the_same_answer() -> None:
    row_ND = np.random.default_rng(4).standard_normal((60, 12)).astype(np.float32)
    want = PreparedRefs(row_ND).search(row_ND, k=3)
    wide = np.zeros((120, 24), np.float32)
    wide[::2, ::2] = row_ND
    for layout in (np.asfortranarray(row_ND), wide[::2, ::2]):
        found = PreparedRefs(layout).search(layout, k=3)
        np.testing.assert_array_equal(found.ref_row_QK, want.ref_row_QK)


def test_flushing_denormals_in_the_caller_does_not_change_the_answer() -> None:
    torch = pytest.importorskip("torch")
    case = large_case("denormal", num_refs=200)
    expected = case.expected()
    assert torch.set_flush_denormal(True)
    try:
        found = case.found(PATHS[0], 1)
    finally:
        torch.set_flush_denormal(False)
    assert_same_bits(expected, found)


@given(st.integers(0, 2**32), st.integers(1, 70))
@settings(max_examples=50, deadline=None)
def test_norms_have_the_same_bits_in_records_reference_and_native(seed: int, num_dims: int) -> None:
    row_ND = rows_of("any scale", 20, num_dims, np.random.default_rng(seed))
    np.testing.assert_array_equal(_C.row_norms(row_ND, 2), plain.row_norms(row_ND))
    np.testing.assert_array_equal(records.norms(row_ND), plain.row_norms(row_ND))


def test_progress_rises_to_the_number_of_pairs_that_pass_the_predicate() -> None:
    told: list[tuple[int, int]] = []
    row_ND = np.random.default_rng(5).standard_normal((500, 4)).astype(np.float32)
    PreparedRefs(row_ND).search(row_ND, k=1, progress=lambda done, total: told.append((done, total)))
    norm_N = plain.row_norms(row_ND)
    num_pairs = int((norm_N[:, None] / norm_N[None, :] <= 1).sum())
    assert told[-1] == (num_pairs, num_pairs)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def long_search(progress: object = None) -> None:
    row_ND = np.random.default_rng(6).standard_normal((40_000, 64)).astype(np.float32)
    refs = PreparedRefs(row_ND, num_threads=1, _instructions="plain")
    refs.search(row_ND, k=10, tau=np.inf, progress=progress)  # type: ignore[arg-type]


def test_an_exception_of_the_progress_callback_ends_the_search() -> None:
    def refuse(*_: int) -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        long_search(refuse)


def test_ctrl_c_ends_a_search_soon() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores Ctrl-C
    timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
    timer.start()
    told = [(0, 1)]
    try:
        with pytest.raises(KeyboardInterrupt):
            long_search(lambda *pairs: told.append(pairs))
        done, total = told[-1]
        assert done < total, "it was stopped on its way"
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


ROWS = np.ones((3, 2), np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query_QD": np.ones((1, 5))}, "queries have 5 columns but the references have 2; embed both"),
        ({"query_QD": np.ones(2)}, r"pass row\[None\], shape \(1, 2\)"),
        ({"query_QD": np.ones((1, 2, 2))}, r"queries must have shape \(rows, D\)"),
        ({"query_QD": np.ones((1, 2), int)}, "must be float16, bfloat16, float32 or float64, got int64"),
        ({"query_QD": [[1, np.nan]], "name": "q.npy"}, "q.npy: row 0 holds NaN or infinite values"),
        ({"query_QD": [[1.0, 1e39]]}, "row 0 holds NaN or infinite values"),
        ({"query_QD": [[1.0, 1.0], [0.0, 0.0]], "ids": ["a", "b"]}, r"row 1 \(id 'b'\) is all zeros"),
        ({"k": 0}, "k must be a whole number from 1 to 4294967295, got 0"),
        ({"k": 2.5}, "k must be a whole number from 1"),
        ({"k": None}, "k must be a whole number from 1 to 4294967295, got None"),
        ({"min_score": np.nan}, "min_score must be a number, got nan"),
        (
            {"min_score": [0.5, 0.5]},
            r"min_score must be one number or one per query, .* got \(2,\)",
        ),
        ({"tau": 0.0}, "tau must be above 0, got 0.0"),
        ({"tau": np.nan}, "tau must be above 0, got nan"),
        ({"tau": [1.0, 1.0]}, r"tau must be one number or one per query, shape \(1,\), got \(2,\)"),
        ({"tau": [-1.0]}, r"tau must be above 0, got -1.0"),
        ({"direction": "sideways"}, "direction must be one of copy, original, both, got 'sideways'"),
        ({"norm_Q": [0.0]}, "norms of queries must be finite and above 0, got 0.0 in row 0"),
        ({"norm_Q": [1.0, 2.0]}, r"norms of queries must have shape \(1,\)"),
    ],
)
def test_a_broken_rule_is_named_with_its_value(arguments: dict[str, object], message: str) -> None:
    refs = PreparedRefs(ROWS)
    with pytest.raises(ValueError, match=message) as caught:
        refs.search(**{"query_QD": ROWS[:1], **arguments})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"row_ND": np.ones((0, 2))}, "references must have from 1 to 4294967295 rows, got 0"),
        ({"row_ND": np.ones((2, 0))}, r"references must have shape \(rows, D\) with D >= 1, got \(2, 0\)"),
        ({"row_ND": [[np.inf, 1.0]]}, "references: row 0 holds NaN or infinite values"),
        ({"norm_N": [1.0, np.nan, 1.0]}, "norms of references must be finite and above 0, got nan in row 1"),
        ({"num_threads": 0}, "num_threads must be from 1 to 1024, or None for every core, got 0"),
        ({"device": "tpu"}, "device must be one of cpu, cuda, got 'tpu'"),
        ({"_instructions": "mmx"}, "instruction set 'mmx' is unknown or can't run on this CPU"),
    ],
)
def test_references_that_break_a_rule_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PreparedRefs(**{"row_ND": ROWS, **arguments})  # type: ignore[arg-type]


@pytest.mark.skipif(bool(_C.build_info()["cuda_devices"]), reason="there is a GPU: the search would run")
def test_cuda_without_a_gpu_or_a_cuda_build_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"device 'cuda' was asked .* use device 'cpu', or install"):
        PreparedRefs(ROWS, device="cuda")


@pytest.mark.skipif(not _C.build_info()["cuda_devices"], reason="needs a GPU and a CUDA build")
@settings(max_examples=50, deadline=None)
@given(case=cases(soft_too=False))
def test_the_gpu_gives_the_bits_of_the_brute_force(case: Case) -> None:
    refs = PreparedRefs(case.ref_ND, norm_N=case.ref_norm_N, device="cuda")
    found = refs.nearest(case.question(), case.k, rank_N=case.rank_N)
    assert_same_bits(case.expected(), (found.ref_row_QK, found.score_QK, found.ratio_QK))
    best = refs.best_pairs(case.question(), 300, rank_N=case.rank_N)
    columns = (best.query_row_M, best.ref_row_M, best.score_M, best.ratio_M)
    assert_same_bits(case.expected_pairs(300, capped=False), columns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_pairs": 0}, "num_pairs must be a whole number from 1 to 1099511627776, got 0"),
        ({"num_pairs": 1, "k": 0}, "k must be a whole number from 1 to 4294967295, got 0"),
        ({"num_pairs": 1, "rank_N": np.arange(2)}, r"rank_N must be int64 of shape \(3,\), .* int64 \(2,\)"),
    ],
)
def test_best_pairs_names_the_rule_that_is_broken(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PreparedRefs(ROWS).best_pairs(ask(ROWS), **arguments)  # type: ignore[arg-type]


def test_the_build_says_what_it_can_run() -> None:
    info = _C.build_info()
    assert info["chosen"] == info["cpu_paths"][0]
    assert set(info["cpu_paths"]) <= set(info["instruction_sets"])
    assert info["cpu_paths"][-1] == "plain"
    assert ("avx512vnni" in info["cpu_paths"]) == ("avx512vnni" in info["cpu_features"])
    assert ("amx" in info["cpu_paths"]) == ("amxint8" in info["cpu_features"])
