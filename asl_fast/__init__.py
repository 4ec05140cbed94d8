"""Is this picture an edited copy of one of those, which one, and which way round?

model = asl_fast.load_model("default")
index = asl_fast.Index(model.embed(references))
found = index.search(model.embed(queries), k=10, tau=1.0)
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asl_fast.embedder import Embedder, load_model
    from asl_fast.indexes import Index, ScoreNorm
    from asl_fast.indexes.folder import IndexFolder
    from asl_fast.records import Candidates, Embeddings, Matches

__version__ = version("asl-fast")
__all__ = [
    "Candidates",
    "Embedder",
    "Embeddings",
    "Index",
    "IndexFolder",
    "Matches",
    "ScoreNorm",
    "load_model",
]

_HOME = {
    "Candidates": "records",
    "Embedder": "embedder",
    "Embeddings": "records",
    "Index": "indexes",
    "IndexFolder": "indexes.folder",
    "Matches": "records",
    "ScoreNorm": "indexes",
    "load_model": "embedder",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use: searching .npy files should not wait for torch."""
    if name not in _HOME:
        raise AttributeError(f"module 'asl_fast' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"asl_fast.{_HOME[name]}"), name)
