"""Which sizes are measured: N rows, C classes, D dimensions."""

from __future__ import annotations

from dataclasses import dataclass

CPU_SIZES = ((128, 20_000, 256), (128, 100_000, 512))
GPU_SIZES = ((128, 10_000, 512), (512, 100_000, 2048), (512, 1_100_000, 2048), (1024, 10_000_000, 512))
CPU_GOAL, GPU_GOAL = CPU_SIZES[1], GPU_SIZES[2]
CHECKED_CLASSES = 100_000  # on a GPU: float64 of more does not fit


@dataclass(frozen=True, kw_only=True)
class Case:
    """device: cpu (float32) or cuda (bfloat16). num_threads: of the CPU."""

    device: str
    num_rows: int
    num_classes: int
    num_dims: int
    num_threads: int

    @property
    def name(self) -> str:
        return f"{self.device} N={self.num_rows} C={self.num_classes} D={self.num_dims}"


def cases(device: str, num_threads: int) -> list[Case]:
    return [
        Case(device=device, num_rows=rows, num_classes=classes, num_dims=dims, num_threads=num_threads)
        for rows, classes, dims in (GPU_SIZES if device == "cuda" else CPU_SIZES)
    ]
