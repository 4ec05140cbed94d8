"""Where a model's folder lies and what stands in it: known without loading PyTorch."""

from __future__ import annotations

from pathlib import Path

CONFIG, WEIGHTS = "config.json", "model.safetensors"
SHIPPED = {name: Path(__file__).parent / "models" / name for name in ("default", "imagenet")}


def local_folder(name: str) -> Path | None:
    """The folder of a shipped name or of a path; None for models that are no folder here."""
    place = SHIPPED.get(name, Path(name))
    return place if (place / CONFIG).is_file() else None
