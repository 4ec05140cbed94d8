"""Typed face of the compiled module (csrc/bindings.cpp). Called through asl_fast.kernels only."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[int, int], object] | None

class RowsOnGpu:
    def __init__(self, address: int, kind: str, num_rows: int, num_dims: int, stream: int) -> None: ...
    @property
    def address(self) -> int: ...

class EmulatedRows:
    def __init__(self, rows: NDArray[Any], kind: str) -> None: ...
    @property
    def there(self) -> RowsOnGpu: ...

class Asked:
    def __init__(
        self,
        queries: NDArray[np.float32] | RowsOnGpu,
        row_norm: NDArray[np.float64],
        norm: NDArray[np.float64],
        tau: NDArray[np.float64],
        min_score: NDArray[np.float64],
        bias: NDArray[np.float64],
        scale: NDArray[np.float64],
        soft: tuple[float, float],
        direction: str,
        rank: NDArray[np.int64] | None,
    ) -> None: ...

class Refs:
    @property
    def path(self) -> str: ...
    def search(
        self, asked: Asked, k: int, num_threads: int, progress: Progress, counts: dict[str, int] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...
    def best_pairs(
        self, asked: Asked, k: int, num_pairs: int, num_threads: int, progress: Progress
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...

class GpuRescorer:
    def best(
        self, candidates: NDArray[np.int64], asked: Asked, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...
    def best_on_gpu(
        self, address: int, num_queries: int, num_candidates: int, asked: Asked, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...

def build_info() -> dict[str, Any]: ...

Stored = NDArray[np.floating[Any]] | NDArray[np.uint16]  # uint16: the bits of bfloat16
Codes = tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]

def row_norms(rows: Stored, num_threads: int) -> NDArray[np.float64]: ...
def encode_rows(rows: Stored, row_norm: NDArray[np.float64], num_threads: int) -> Codes: ...
def soft_losses(ratio: NDArray[np.float64], soft: tuple[float, float]) -> NDArray[np.float64]: ...
def rescore(
    candidates: NDArray[np.int64],
    queries: NDArray[np.float32],
    query_row_norm: NDArray[np.float64],
    query_norm: NDArray[np.float64],
    refs: NDArray[Any],
    ref_row_norm: NDArray[np.float64],
    ref_norm: NDArray[np.float64],
    tau: NDArray[np.float64],
    k: int,
    min_score: NDArray[np.float64],
    bias: NDArray[np.float64],
    scale: NDArray[np.float64],
    soft: tuple[float, float],
    direction: str,
    num_threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]: ...
def patch_overlaps(
    matrix: NDArray[np.float64],
    region: NDArray[np.float64],
    a_grid: tuple[int, int],
    b_grid: tuple[int, int],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]: ...
def depthwise_weight_gradient(
    input: NDArray[np.float32] | NDArray[np.uint16],
    gradient: NDArray[np.float32] | NDArray[np.uint16],
    kernel: int,
    stride: int,
    top: int,
    left: int,
    num_threads: int,
    instructions: str,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def depthwise_paths() -> list[str]: ...
def resize(pixels: NDArray[np.uint8], height: int, width: int, instructions: str) -> NDArray[np.uint8]: ...
def resize_paths() -> list[str]: ...
def prepare_cpu(
    rows: Stored,
    row_norm: NDArray[np.float64],
    norm: NDArray[np.float64],
    codes: Codes | None,
    hit_bytes: int,
    num_threads: int,
    instructions: str,
    grouping: str,
) -> Refs: ...
def prepare_cuda(
    rows: Stored | RowsOnGpu,
    row_norm: NDArray[np.float64],
    norm: NDArray[np.float64],
    devices: list[int],
    buffer_bytes: int,
    rows_on_host: bool,
    num_threads: int,
) -> Refs: ...
def cuda_rescorer(
    rows: Stored, row_norm: NDArray[np.float64], norm: NDArray[np.float64], gpu: int, num_threads: int
) -> GpuRescorer: ...
def emulated_rescorer(
    rows: Stored,
    row_norm: NDArray[np.float64],
    norm: NDArray[np.float64],
    capacity: int,
    buffer_bytes: int,
    seed: int,
) -> GpuRescorer: ...
def emulated_row_norms(rows: RowsOnGpu) -> NDArray[np.float64]: ...
def cuda_row_norms(rows: RowsOnGpu, gpu: int) -> NDArray[np.float64]: ...
def cuda_free_bytes(devices: list[int]) -> list[int]: ...
def prepare_emulated(
    rows: Stored | RowsOnGpu,
    row_norm: NDArray[np.float64],
    norm: NDArray[np.float64],
    num_gpus: int,
    gpu_bytes: int,
    chunk_rows: int,
    capacity: int,
    buffer_bytes: int,
    rows_on_host: bool,
    seed: int,
) -> Refs: ...
