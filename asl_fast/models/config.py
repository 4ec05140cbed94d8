"""What a descriptor is, apart from its weights: a record with a JSON form that is checked by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any

FORMAT = "asl_fast descriptor"
VERSION = 1
_RETIRED = ("min_score", "tau")  # thresholds.json holds what is measured, with intervals


@dataclass(frozen=True, kw_only=True)
class DescriptorConfig:
    """How pixels become a raw row.

    backbone: a timm name.  num_dims: length of a row, 0 for the backbone's own width.
    gem_p: the pooling's power before training (trained weights carry their own).
    gain_width: hidden units of the small network that says how long a row should be (`gain.py`), 0 = none.
    edge_px, resize_mode: what pictures are resized to before they come in.
    mean, std: of the input, in units of 0..1.
    note: one line on what the weights were trained for.
    """

    backbone: str
    num_dims: int = 0
    gem_p: float = 3.0
    gain_width: int = 0
    edge_px: int = 224
    resize_mode: str = "square"
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    note: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field.name, getattr(self, field.name)))

    def to_json(self, **extra: str) -> str:
        """The config as JSON text; `extra` are further keys that a reader of another version may ignore."""
        fields = dataclasses.asdict(self)
        return json.dumps({"format": FORMAT, "version": VERSION, **fields, **extra}, indent=2) + "\n"

    def what_shapes_rows(self) -> str:
        """Canonical JSON of the fields that change rows; thresholds and notes do not."""
        names = ["backbone", "num_dims", "edge_px", "resize_mode", "mean", "std"]
        names += ["gain_width"] if self.gain_width else []  # fingerprints from before there were gains stay
        return json.dumps({name: getattr(self, name) for name in names}, sort_keys=True)


def config_from_json(text: str, who: str) -> tuple[DescriptorConfig, str]:
    """The config in `text` and the digest of the weights it was saved with ("" if none is told).

    ValueError, beginning with `who`, for text that is not such a config.
    """
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{who} is not JSON ({error}); give a folder that asl_fast saved") from None
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError(
            f'{who} has no "format": "{FORMAT}"; give a folder that asl_fast saved, or timm:NAME'
        )
    if raw.get("version") != VERSION:
        raise ValueError(
            f"{who} is of version {raw.get('version')!r}, this asl_fast reads {VERSION}; update asl_fast"
        )
    digest = raw.pop("weights_sha256", "")
    fields = {name: raw[name] for name in raw if name not in ("format", "version", *_RETIRED)}
    known = {field.name for field in dataclasses.fields(DescriptorConfig)}
    unknown = sorted(set(fields) - known)
    if unknown:
        raise ValueError(f"{who} holds unknown keys {unknown}; known are {sorted(known)}")
    if "backbone" not in fields:
        raise ValueError(f'{who} lacks "backbone", the name of a timm model')
    try:
        return DescriptorConfig(**fields), str(digest)
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None


def _checked(name: str, value: Any) -> Any:
    """`value` in the type of field `name`; ValueError with the rule it breaks."""
    if name in ("backbone", "resize_mode", "note"):
        if not isinstance(value, str) or (not value and name != "note"):
            raise ValueError(f'"{name}" must be a non-empty text, got {value!r}')
        return value
    if name in ("num_dims", "gain_width", "edge_px"):
        least, most = (16, 4096) if name == "edge_px" else (0, 65536)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f'"{name}" must be a whole number from {least} to {most}, got {value!r}')
        return value
    if name in ("mean", "std"):
        if not isinstance(value, list | tuple) or len(value) != 3 or not all(map(_is_number, value)):
            raise ValueError(f'"{name}" must be three numbers, one for each of R, G, B, got {value!r}')
        if name == "std" and min(value) <= 0:
            raise ValueError(f'"std" must be above 0, got {value!r}')
        return tuple(float(number) for number in value)
    if not _is_number(value) or value <= 0:
        raise ValueError(f'"{name}" must be a number above 0, got {value!r}')
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
