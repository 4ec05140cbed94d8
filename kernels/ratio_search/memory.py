"""What a search holds in memory, on the CPU or on GPUs, and how a budget is shared out."""

from __future__ import annotations

from dataclasses import dataclass

from asl_fast.kernels.ratio_search.rows import WHO
from asl_fast.kernels.ratio_search.threads import checked_threads

HIT_BYTES = 64 << 20  # of each thread, where memory is no concern
_LEAST_HIT_BYTES = 256 << 10
_LEAST_ROWS = 1024
_PACKED_BYTES = 1 << 19  # queries of a block (kBlockBytes in ratio_search_cpu.cpp)
_BLOCK_BYTES = 1 << 20  # of rows on their way to codes (kBlockBytes in stored_rows.cpp)
_PANEL_QUERIES = 32  # kMaxQueries in screen.h
_HIT = 12  # bytes of a Hit in shortlist.h
GPU_HIT_BYTES = 1 << 30  # of a batch of queries, where memory is no concern
_LEAST_GPU_HIT_BYTES = 16 << 20
_GPU_ROW_COLUMNS = 32  # bytes beside a row's codes and floats: scale, residual, norm, place, rank
_GPU_ENTRY = 16  # bytes of an Entry in gpu.h
_ROW_COLUMNS = 48  # bytes beside a row's codes: norms, order, rank, scale, residual


@dataclass(frozen=True, kw_only=True)
class Share:
    """Rows that are prepared at once, and bytes of waiting hits of each thread."""

    num_rows: int
    hit_bytes: int

    def check_k(self, k: int) -> None:
        """ValueError if the waiting hits of a panel of queries don't fit."""
        needed = _PANEL_QUERIES * (2 * max(k, 64) + 64) * _HIT
        if self.hit_bytes < min(needed, HIT_BYTES):
            raise ValueError(
                f"{WHO}: k={k} needs {needed} bytes of waiting hits in each thread but memory_budget leaves "
                f"{self.hit_bytes}; raise it, lower k, or use fewer threads"
            )


def share(memory_budget: int, *, num_dims: int, num_threads: int | None = None) -> Share:
    """A budget in bytes for codes and their columns, waiting hits and packed queries.

    It does not count what the caller holds: the references (a mapped file passes through memory), float32
    queries, the answer. ValueError if it is below the least that works.
    """
    num_threads = checked_threads(num_threads)
    row_bytes = _padded(num_dims) + _ROW_COLUMNS
    fixed = max(_PACKED_BYTES, _PANEL_QUERIES * _padded(num_dims)) + max(_BLOCK_BYTES, 4 * num_dims)
    least = num_threads * (fixed + _LEAST_HIT_BYTES) + _LEAST_ROWS * row_bytes
    if memory_budget < least:
        raise ValueError(
            f"{WHO}: memory_budget must be at least {least} bytes ({least / 2**20:.1f}M) for {num_dims} "
            f"columns and {num_threads} threads, got {memory_budget}; raise it, or use fewer threads"
        )
    hit_bytes = min(max(memory_budget // (8 * num_threads), _LEAST_HIT_BYTES), HIT_BYTES)
    hit_bytes = min(hit_bytes, (memory_budget - _LEAST_ROWS * row_bytes) // num_threads - fixed)
    return Share(
        num_rows=(memory_budget - num_threads * (fixed + hit_bytes)) // row_bytes, hit_bytes=hit_bytes
    )


@dataclass(frozen=True, kw_only=True)
class GpuShare(Share):
    """Rows that are prepared at once on all GPUs, and bytes of a batch of queries on each.

    rows_on_host: only their codes go to the GPUs.
    """

    rows_on_host: bool = False

    def check_k(self, k: int) -> None:
        """ValueError if the list of a query doesn't fit."""
        if self.hit_bytes < (needed := 4 * k * _GPU_ENTRY):
            raise ValueError(
                f"{WHO}: k={k} needs {needed} bytes for a query's list but the GPU's memory leaves "
                f"{self.hit_bytes}; raise memory_budget, or lower k"
            )


def gpu_share(
    memory_budget: int, *, num_dims: int, num_gpus: int, number_bytes: int = 4, num_rows: int | None = None
) -> GpuShare:
    """A budget in bytes for what each GPU holds: its rows, themselves and as codes, and a batch of queries.

    number_bytes: of the rows' numbers; 0 where the rows are somebody else's, on the GPU.  num_rows: of all
    references. Where all their codes fit but the rows don't, the rows stay on this machine; where the codes
    don't fit either, or without num_rows, slices of both pass through the GPU.
    ValueError if the budget is below the least that works.
    """
    codes_bytes = _padded(num_dims) + _GPU_ROW_COLUMNS
    row_bytes = codes_bytes + min(number_bytes, 4) * num_dims
    least = _LEAST_GPU_HIT_BYTES + _LEAST_ROWS * row_bytes
    if memory_budget < least:
        raise ValueError(
            f"{WHO}: memory_budget must be at least {least} bytes ({least / 2**20:.1f}M) for {num_dims} "
            f"columns on a GPU, got {memory_budget}; raise it, or free the GPU's memory"
        )
    hit_bytes = min(max(memory_budget // 4, _LEAST_GPU_HIT_BYTES), GPU_HIT_BYTES)
    fit, codes_fit = (num_gpus * ((memory_budget - hit_bytes) // each) for each in (row_bytes, codes_bytes))
    on_host = num_rows is not None and fit < num_rows <= codes_fit
    return GpuShare(num_rows=codes_fit if on_host else fit, hit_bytes=hit_bytes, rows_on_host=on_host)


def _padded(num_dims: int) -> int:
    """Codes of a row: no instruction set pads further."""
    return -(-num_dims // 64) * 64
