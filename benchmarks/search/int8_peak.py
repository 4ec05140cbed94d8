"""The integer peak of this machine, measured on the spot: int8 multiply-adds a second of one set."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("int8_peak.cpp")
BURST_SECONDS = 0.01
BURSTS = 25


@cache
def _native() -> ctypes.CDLL:
    """int8_peak.cpp, compiled by $CXX or c++: whoever built asl_fast has one."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "int8_peak.so"
        compiler = os.environ.get("CXX", "c++")
        subprocess.run([compiler, "-std=c++20", "-O2", "-shared", "-fPIC", SOURCE, "-o", library], check=True)
        native = ctypes.CDLL(str(library))
    native.multiply_adds.argtypes = [ctypes.c_char_p, ctypes.c_int64]
    native.multiply_adds.restype = ctypes.c_int64
    return native


def int8_peak(instructions: str, num_threads: int) -> float | None:
    """Multiply-adds a second on this many threads, the best of many short bursts; None for the plain set.

    The set must be one that this machine runs (asl_fast._C.build_info()["cpu_paths"]).
    """
    native, name = _native(), instructions.encode()
    if native.multiply_adds(name, 1) == 0:
        return None
    rounds = 1 << 16
    while _seconds(native, name, rounds) < BURST_SECONDS:
        rounds *= 2
    done = num_threads * native.multiply_adds(name, rounds)
    with ThreadPoolExecutor(num_threads) as pool:

        def together() -> float:
            start = time.perf_counter()
            list(pool.map(lambda _: native.multiply_adds(name, rounds), range(num_threads)))
            return time.perf_counter() - start

        return float(done / min(together() for _ in range(BURSTS)))


def _seconds(native: ctypes.CDLL, name: bytes, rounds: int) -> float:
    start = time.perf_counter()
    native.multiply_adds(name, rounds)
    return time.perf_counter() - start
