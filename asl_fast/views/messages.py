"""What an executor and its worker processes say to each other: frames of JSON or of plain bytes.

executor -> worker   {"edge_px", "orders": [[photo, chains], ...]}: make these, into the shared memory
worker -> executor   {"read": numbers}: the encoded files of these photos, please
executor -> worker   for each the file's bytes, or {"errno", "text"}: it can't be read; or {"fault"}: give up
worker -> executor   {"made": [[photo, traces, broken], ...]}, or {"error": kind, "text"}
"""

from __future__ import annotations

import json
import struct
from typing import IO, Any

import numpy as np

from asl_fast.edits import KINDS, Chain, Cover, SignPatch, TextPatch, Trace

_HEAD = struct.Struct("<cQ")  # what follows, and how many bytes of it
_JSON, _BYTES = b"j", b"b"


def send(stream: IO[bytes], message: dict[str, Any] | bytes) -> None:
    is_bytes = isinstance(message, bytes)
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    stream.write(_HEAD.pack(_BYTES if is_bytes else _JSON, len(body)))
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any] | bytes:
    """EOFError if the other side is gone."""
    kind, length = _HEAD.unpack(_exactly(stream, _HEAD.size))
    body = _exactly(stream, length)
    return body if kind == _BYTES else dict(json.loads(body))


def _exactly(stream: IO[bytes], length: int) -> bytes:
    body = stream.read(length)
    if len(body) != length:
        raise EOFError
    return body


def plain_chain(chain: Chain) -> list[Any]:
    """JSON values. Not `Chain.to_json`: what this program itself says need not be checked, 40 us a chain."""
    for edit in chain.edits:
        if KINDS.get(type(edit).__name__) is not type(edit):
            raise ValueError(
                f"views: {type(edit).__name__} is no kind of edit that a worker process knows; "
                "use an executor with num_workers=0"
            )
    return [[type(edit).__name__, vars(edit)] for edit in chain.edits]


def chain_of(plain: list[Any]) -> Chain:
    """What `plain_chain` was given."""
    return Chain(
        tuple(
            KINDS[kind](**{name: _as_tuples(value) for name, value in values.items()})
            for kind, values in plain
        )
    )


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(part) for part in value) if isinstance(value, list) else value


def plain_trace(trace: Trace) -> list[Any]:
    """JSON values; floats come back to the bit."""
    return [
        trace.photo_size,
        trace.view_size,
        trace.matrix.tolist(),
        trace.region.tolist(),
        [[_plain_shape(cover), cover.to_view.tolist(), cover.opacity] for cover in trace.covers],
        trace.clear,
    ]


def trace_of(plain: list[Any]) -> Trace:
    """What `plain_trace` was given."""
    photo_size, view_size, matrix, region, covers, clear = plain
    return Trace(
        photo_size=(photo_size[0], photo_size[1]),
        view_size=(view_size[0], view_size[1]),
        matrix=np.array(matrix, np.float64),
        region=np.array(region, np.float64).reshape(-1, 2),
        covers=tuple(Cover(_shape(shape), np.array(to_view), opacity) for shape, to_view, opacity in covers),
        clear=clear,
    )


def _plain_shape(cover: Cover) -> list[Any] | dict[str, Any]:
    return cover.shape.tolist() if isinstance(cover.shape, np.ndarray) else vars(cover.shape)


def _shape(plain: list[Any] | dict[str, Any]) -> np.ndarray | TextPatch | SignPatch:
    if isinstance(plain, list):
        return np.array(plain, np.float64).reshape(-1, 2)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
    }
    return TextPatch(**values) if "text" in values else SignPatch(**values)
