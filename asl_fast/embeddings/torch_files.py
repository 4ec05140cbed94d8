"""What others save with torch.save, read only: CopyNCE's features (.pth) and SSCD's predictions.pt.

Only tensors and plain containers are taken (`weights_only`): a file that would run code is refused.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from asl_fast.embeddings.npy import read_ids
from asl_fast.embeddings.rows import Stored
from asl_fast.errors import InputError

SPLITS = {"refs": (0, "R{:06d}"), "queries": (1, "Q{:05d}")}  # how SSCD numbers and names its splits
ROW_NAMES = ("features", "feats")


def read(path: Path, who: str, side: str | None) -> Stored:
    """A tensor of rows, a dict that holds one, or SSCD's dict of all splits, of which `side` is taken.

    ids: NAME.ids.txt beside it; SSCD's are those of DISC21.
    """
    loaded = _load(path, who)
    if isinstance(loaded, dict) and {"embeddings", "image_num", "split"} <= loaded.keys():
        return _sscd_split(loaded, who, side)
    if isinstance(loaded, dict):
        tensors = [name for name, value in loaded.items() if hasattr(value, "numpy")]
        names = [name for name in ROW_NAMES if name in tensors] or tensors
        if len(names) != 1:
            raise InputError(
                f"{who} must hold one tensor of rows, or one named {' or '.join(ROW_NAMES)}, "
                f"got {sorted(map(str, loaded))[:8]}"
            )
        loaded = loaded[names[0]]
    if not hasattr(loaded, "numpy"):
        raise InputError(f"{who} must hold a tensor of rows, got {type(loaded).__name__}")
    ids_file = path.with_suffix(".ids.txt")
    return Stored(row_ND=_array(loaded), ids=read_ids(ids_file) if ids_file.is_file() else None)


def _load(path: Path, who: str) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{who} holds more than tensors, and reading that could run code; save the rows alone, or as .npy"
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{who}: the file is cut off or no torch file ({reason}); save it again") from None


def _sscd_split(loaded: dict[str, Any], who: str, side: str | None) -> Stored:
    if side is None:
        raise InputError(f"{who} holds queries and references; say which: side='queries' or side='refs'")
    number, name = SPLITS[side]
    columns = {key: _array(loaded[key]) for key in ("embeddings", "image_num", "split")}
    if "instance_id" in loaded:  # several GPUs pad the set with repeats, which SSCD drops by this
        _, first = np.unique(_array(loaded["instance_id"]), return_index=True)
        columns = {key: column[first] for key, column in columns.items()}
    rows = np.flatnonzero(columns["split"] == number)
    if not len(rows):
        raise InputError(f"{who} has no rows of split {number}, which is SSCD's number for the {side}")
    rows = rows[np.argsort(columns["image_num"][rows], kind="stable")]
    ids = [name.format(image) for image in columns["image_num"][rows].tolist()]
    return Stored(row_ND=np.ascontiguousarray(columns["embeddings"][rows]), ids=ids)


def _array(tensor: Any) -> Any:
    """The values in memory; bfloat16, which numpy lacks, as float32."""
    plain = tensor.detach()
    if str(plain.dtype) == "torch.bfloat16":
        plain = plain.float()
    return np.ascontiguousarray(plain.numpy())
