"""config.json: what must be equal for a run folder to be gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asl_fast.errors import InputError
from asl_fast.files import write_json
from asl_fast.images import ImageFile
from asl_fast.training.pairs import FilePair
from asl_fast.training.settings import TrainSettings


def run_identity(
    files: Sequence[ImageFile],
    pairs: Sequence[FilePair],
    settings: TrainSettings,
    seed: int,
    views_from: str,
    fingerprint: str,
) -> dict[str, Any]:
    """What must be equal for a run to be the same run, in JSON's own types."""
    identity = settings.to_dict() | {
        "seed": seed,
        "views_from": views_from,
        "start_fingerprint": fingerprint,
        "num_images": len(files),
        "images_sha256": _digest(file.id for file in files),
        "num_pairs": len(pairs),
        "pairs_sha256": _digest(f"{pair.a.id}\t{pair.b.id}\t{pair.order}" for pair in pairs),
    }
    return dict(json.loads(json.dumps(identity)))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _defaults() -> dict[str, Any]:
    """What an earlier version, which had no such setting, did."""
    told = TrainSettings(num_steps=1).to_dict() | {"views_from": "cpu", "num_pairs": 0}
    return dict(json.loads(json.dumps(told | {"pairs_sha256": _digest(())})))


def check_same_run(out: Path, identity: dict[str, Any]) -> None:
    """Write config.json, or InputError if the one that is there tells of another run."""
    path = out / "config.json"
    if path.exists():
        known = _flat(_defaults()) | _flat(json.loads(path.read_text(encoding="utf-8")))
        for name, value in _flat(identity).items():
            if known.get(name) != value:
                raise InputError(
                    f"--out {out} holds a run with {name} = {known.get(name)}, this one has {value}; "
                    "give the same options to go on with it, or another --out"
                )
    write_json(path, identity)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of settings by names such as loss.scale."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
