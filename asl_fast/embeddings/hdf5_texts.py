"""Texts of varying length in HDF5 (other tools' ids), read by a process of its own.

Where damage has hit them or their type, HDF5 follows pointers to nowhere and ends the process that asked.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

from asl_fast.errors import InputError

_READ = """
import os
import resource
import sys
import h5py
import numpy as np

if sys.platform == "linux":  # HDF5 makes room for as much as a text says it has
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    most = used + (64 << 20) + 16 * os.path.getsize(sys.argv[1])
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
with h5py.File(sys.argv[1], "r") as file:
    texts = np.atleast_1d(file[sys.argv[2]][()]).tolist()
out = sys.stdout.buffer
out.write(np.array([len(texts), *map(len, texts)], "<i8").tobytes())
for text in texts:
    out.write(text)
"""


def varying_texts(path: Path, name: str, who: str) -> list[bytes]:
    """A dataset of shape (N,) or (). InputError where HDF5 can't read it, or would have crashed."""
    command = [sys.executable, "-P", "-c", _READ, str(path), name]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said and done.returncode > 0 else "they make HDF5 crash"
        raise InputError(f"{who}: the texts of `{name}` are damaged ({why}); copy or embed it again")
    (number,) = np.frombuffer(done.stdout, "<i8", 1).tolist()
    length_N = np.frombuffer(done.stdout, "<i8", number, 8)
    stops = np.cumsum([8 * (number + 1), *length_N]).tolist()
    return [done.stdout[start:stop] for start, stop in pairwise(stops)]
