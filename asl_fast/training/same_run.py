"""config.json: what must be equal for a run folder to be gone on with, and what each start of it ran on."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from asl_fast.errors import InputError
from asl_fast.files import write_json
from asl_fast.images import ImageFile
from asl_fast.training.pairs import FilePair
from asl_fast.training.settings import TrainSettings
from asl_fast.training.team import Team


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


def check_same_run(out: Path, identity: dict[str, Any], team: Team | None = None) -> None:
    """Write config.json, or InputError if the one that is there tells of another run.

    So it is if the processes of a team don't have the same arguments or see the same photos.
    """
    team = team or Team()
    for rank, told in enumerate(team.tell(identity)):
        differing = [name for name, value in _flat(identity).items() if _flat(told).get(name) != value]
        if differing:
            raise InputError(
                f"--out {out}: process {rank} has another {differing[0]} than process {team.rank}; "
                "give all of them the same options and photos"
            )
    if not team.leads:
        return
    path = out / "config.json"
    starts: list[Any] = []
    if path.exists():
        told = json.loads(path.read_text(encoding="utf-8"))
        starts = told.pop("starts", [])
        known = _flat(_defaults()) | _flat(told)
        for name, value in _flat(identity).items():
            if known.get(name) != value:
                raise InputError(
                    f"--out {out} holds a run with {name} = {known.get(name)}, this one has {value}; "
                    "give the same options to go on with it, or another --out"
                )
    write_json(path, identity | {"starts": starts})


def record_start(out: Path, first_step: int, **ran_on: int | str) -> None:
    """Add to config.json the versions this start of the run has, and `ran_on`, unless the last had the same.

    The same bits after a break can only be had with the same of these.
    """
    path = out / "config.json"
    told = json.loads(path.read_text(encoding="utf-8"))
    versions = {name: version(name) for name in ("asl_fast", "timm")}
    versions["torch"] = str(torch.__version__)  # which tells the build, too
    start = versions | {"python": platform.python_version()} | ran_on
    last = dict(told["starts"][-1]) if told["starts"] else {}
    last.pop("from_step", None)
    if last != start:
        told["starts"].append({"from_step": first_step} | start)
        write_json(path, told)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings of settings by names such as loss.scale."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
