"""The FAISS library: imported when first used, its threads put back, its complaints made one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

from asl_fast.errors import InputError


def library() -> Any:
    """The module `faiss`. InputError, with the way out, where it isn't installed."""
    try:
        import faiss
    except ImportError:
        raise InputError(
            "faiss is not installed, and an engine or a file of FAISS needs it; "
            "pip install 'asl-fast[faiss]', or 'faiss-gpu>=1.15' (it runs on CPUs too), or search exactly"
        ) from None
    return faiss


@contextlib.contextmanager
def threads(num_threads: int) -> Iterator[None]:
    """So many OpenMP threads in FAISS; as many as before afterwards."""
    faiss = library()
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(num_threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def words(error: Exception) -> str:
    """What FAISS complains of, without where in its sources."""
    text = " ".join(str(error).split())
    return re.split(r"\bfailed: |\bError: | at \S+:\d+: ", text)[-1].strip() or type(error).__name__
