"""Edits as plain JSON values and back, every parameter checked."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from typing import Any

from asl_fast.edits.edit import Edit
from asl_fast.edits.kinds import KINDS

_MOST_DEEP = 1e9  # no parameter of any edit comes near


def to_plain(edit: Edit) -> dict[str, Any]:
    """{"kind": ..., and the parameters by name}."""
    names = [field.name for field in dataclasses.fields(edit)]  # type: ignore[arg-type]
    return {"kind": type(edit).__name__} | {name: getattr(edit, name) for name in names}


def from_plain(told: Any) -> Edit:
    """The edit; ValueError if it is none or a parameter is missing, unknown or of another type."""
    if not isinstance(told, dict) or told.get("kind") not in KINDS:
        shown = told.get("kind") if isinstance(told, dict) else told
        raise ValueError(f"chain: kind must be one of {', '.join(KINDS)}, got {shown!r:.80}")
    kind = KINDS[told["kind"]]
    hints = _parameters(kind)
    wrong = sorted(set(hints) ^ (set(told) - {"kind"}))
    if wrong:
        raise ValueError(
            f"chain: {kind.__name__} takes {', '.join(hints) or 'nothing'}; {wrong[0]!r} is wrong"
        )
    values = {}
    for name, hint in hints.items():
        try:
            values[name] = _checked(told[name], hint)
        except ValueError as error:
            raise ValueError(f"chain: {kind.__name__} {name} {error}, got {told[name]!r:.80}") from None
    return kind(**values)


@functools.cache
def _parameters(kind: type[Edit]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


def _checked(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _checked(value, next(part for part in typing.get_args(hint) if part is not type(None)))
    if typing.get_origin(hint) is tuple:
        return _checked_tuple(value, typing.get_args(hint))
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError("must be a finite number")
        return _small(float(value))
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError("must be a whole number")
        return value if value in range(1 << 31) else _small(value)
    if not isinstance(value, hint):
        raise ValueError(f"must be {hint.__name__}")
    return value


def _checked_tuple(value: Any, parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("must be a list")
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = (parts[0],) * len(value)
    if len(value) != len(parts):
        raise ValueError(f"must be a list of {len(parts)}")
    return tuple(_checked(one, hint) for one, hint in zip(value, parts, strict=True))


def _small(value: float) -> float:
    if abs(value) > _MOST_DEEP:
        raise ValueError("must be a number of sensible size")
    return value
