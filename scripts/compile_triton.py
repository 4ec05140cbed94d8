"""Compile every Triton kernel of the loss ahead of time for sm_80 and sm_90; no GPU needed.

    python scripts/compile_triton.py [--ptx FOLDER]

Prints registers, spilled bytes and shared memory of each. Exit status 1 if one does not compile, needs more
shared memory than the architecture has, or spills more than a tenth of its registers.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from asl_fast.kernels.cosface_ratio import gpu, gpu_kernels
from asl_fast.kernels.cosface_ratio.class_softmax import StoredGradient
from asl_fast.kernels.cosface_ratio.shard import Shard, inverse_norms

SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024}
POINTERS = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.int32: "*i32",
}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
LAUNCH_OPTIONS = ("num_warps", "num_stages")
Launch = tuple[JITFunction, dict[str, Any], dict[str, int]]  # kernel, every argument, warps and stages


class Recorder:
    """Stands in for a kernel: notes what it is launched with."""

    def __init__(self, kernel: JITFunction, launches: list[Launch]) -> None:
        self.kernel, self.launches = kernel, launches

    def __getitem__(self, grid: tuple[int, ...]) -> Recorder:
        return self

    def __call__(self, *arguments: Any, **named: Any) -> None:
        options = {name: named.pop(name) for name in LAUNCH_OPTIONS if name in named}
        values = dict(zip(self.kernel.arg_names, arguments, strict=False)) | named
        self.launches.append((self.kernel, values, options))


def launches(dtype: torch.dtype, shape: tuple[int, int, int]) -> list[Launch]:
    """Every launch of a forward and a backward pass, as the path itself makes them."""
    num_rows, num_classes, num_dims = shape
    recorded: list[Launch] = []
    kernels = {name: value for name, value in vars(gpu_kernels).items() if name.endswith("_kernel")}
    for name, kernel in kernels.items():
        setattr(gpu_kernels, name, Recorder(kernel, recorded))
    feature_ND = torch.zeros(num_rows, num_dims, dtype=dtype)
    weight_CD = torch.zeros(num_classes, num_dims, dtype=dtype)
    norm_C = gpu.row_norms(weight_CD, torch.float32).zero_()
    value_N = torch.zeros(num_rows)
    label_N = torch.zeros(num_rows, dtype=torch.int64)
    shard = Shard(feature_ND, weight_CD, label_N, value_N, inverse_norms(norm_C), 64.0)
    gpu.sum_exp(shard, value_N)
    gpu.max_logit(shard)
    sink = StoredGradient(torch.empty_like(weight_CD))
    for stretch_C in (None, norm_C):
        gpu.backward(shard, value_N, value_N, value_N, stretch_C, sink, need_feature=True)
    for name, kernel in kernels.items():
        setattr(gpu_kernels, name, kernel)
    return recorded


def compiled(kernel: JITFunction, values: dict[str, Any], options: dict[str, int], sm: int) -> Any:
    """The kernel as it would be compiled at this launch on that architecture."""
    signature, constants, hints = {}, {}, {}
    for place, parameter in enumerate(kernel.params):
        name, value = parameter.name, values[parameter.name]
        if parameter.is_constexpr or (isinstance(value, int) and value == 1):
            signature[name], constants[(place,)] = "constexpr", value
        elif isinstance(value, torch.Tensor):
            signature[name], hints[(place,)] = POINTERS[value.dtype], [["tt.divisibility", 16]]
        elif isinstance(value, float):
            signature[name] = "fp32"
        else:
            signature[name] = "i32"
            if value % 16 == 0:
                hints[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=hints)
    return triton.compile(source, target=GPUTarget("cuda", sm, 32), options=options)


def resources(cubin: bytes) -> tuple[int, int]:
    """(registers of a thread, bytes of a thread's stack: what is spilled lies there)."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run(
            [CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True
        )
    found = re.search(r"REG:(\d+) STACK:(\d+)", told.stdout)
    if found is None:
        raise RuntimeError(f"cuobjdump -res-usage told no registers: {told.stdout}")
    return int(found[1]), int(found[2])


def rows(ptx_folder: Path | None) -> Iterator[tuple[str, int, int, int, bool]]:
    """(what, registers, spilled bytes, shared bytes, fit?) of each kernel, type, shape and architecture."""
    for sm in SHARED_BYTES:
        for dtype in (torch.bfloat16, torch.float16, torch.float32):
            for shape in ((512, 4096, 2048), (7, 1031, 33)):
                done = set()
                for kernel, values, options in launches(dtype, shape):
                    flags = [name for name in ("MAXIMUM", "STRETCHED") if values.get(name)]
                    what = " ".join([f"sm_{sm}", str(dtype)[6:], f"D={shape[2]}", kernel.__name__, *flags])
                    if what in done:
                        continue
                    done.add(what)
                    binary = compiled(kernel, values, options, sm)
                    registers, spilled = resources(binary.asm["cubin"])
                    if ptx_folder is not None:
                        (ptx_folder / f"{what.replace(' ', '_')}.ptx").write_text(binary.asm["ptx"])
                    shared = binary.metadata.shared
                    fit = shared <= SHARED_BYTES[sm] and 10 * spilled <= 4 * registers
                    yield what, registers, spilled, shared, fit


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ptx", type=Path, help="write each kernel's PTX into this folder")
    ptx_folder = parser.parse_args().ptx
    if ptx_folder is not None:
        ptx_folder.mkdir(parents=True, exist_ok=True)
    bad = 0
    for what, registers, spilled, shared, fit in rows(ptx_folder):
        bad += not fit
        verdict = "" if fit else "  UNFIT"
        print(f"{what:60} {registers:4} registers {spilled:5} B spilled {shared:7} B shared{verdict}")
    print(f"compile_triton: {bad} unfit" if bad else "compile_triton: all kernels compile and fit")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
