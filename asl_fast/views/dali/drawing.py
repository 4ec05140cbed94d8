"""Batches of pictures, each with operations of its own, drawn kind by kind.

In every round one kind of operation is done to all pictures that wait for it, in one call. A batch of BoT
chains takes some fifty rounds then, large or small; in the order of the chains it would be thousands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asl_fast.edits.render import render
from asl_fast.edits.steps import (
    AddNoise,
    Convolve,
    Erase,
    FlattenHistogram,
    Lookup,
    MedianFilter,
    Onto,
    Over,
    Recolour,
    Recompress,
    Screen,
    Shade,
    ShufflePixels,
)
from asl_fast.views.dali import filters, layers, moves, values
from asl_fast.views.dali.layers import Draw, Others
from asl_fast.views.dali.lowering import Blur, Cut, Enlarge, Flip, Look, OnHost, Operation, Smooth, Stretch
from asl_fast.views.dali.station import Picture, Station


def _on_host(pictures: Sequence[Picture], operations: Sequence[OnHost], station: Station) -> list[Picture]:
    pairs = zip(station.on_host(pictures), operations, strict=True)
    return station.sent([render([one.step], pixels, ()) for pixels, one in pairs])


_DRAW: dict[type, Callable[[Sequence[Picture], Any, Station], list[Picture]]] = {
    Cut: moves.cut,
    Flip: moves.flip,
    Smooth: moves.smooth,
    Stretch: moves.stretch,
    Enlarge: moves.enlarge,
    Look: moves.look,
    Erase: layers.erase,
    Recolour: values.recolour,
    Lookup: values.lookup,
    FlattenHistogram: values.flatten_histogram,
    AddNoise: values.add_noise,
    ShufflePixels: values.shuffle_pixels,
    Shade: values.shade,
    Screen: values.screen,
    Blur: filters.blur,
    Convolve: filters.convolve,
    MedianFilter: filters.median_filter,
    Recompress: filters.recompress,
    OnHost: _on_host,
}
_LAY: dict[type, Callable[[Sequence[Picture], Any, Station, Others, Draw], list[Picture]]] = {
    Onto: layers.onto,
    Over: layers.over,
}


def draw(
    pictures: Sequence[Picture],
    operations: Sequence[Sequence[Operation]],
    station: Station,
    others: Others | None = None,
) -> list[Picture]:
    """Each picture after its own operations. others: the photos that patches name."""
    drawn = list(pictures)
    done = [0] * len(drawn)

    def draw_moves(some: Sequence[Picture], ways: Sequence[Sequence[Operation]]) -> list[Picture]:
        return draw(some, ways, station)

    while waiting := [place for place, number in enumerate(done) if number < len(operations[place])]:
        kind = _next_kind(waiting, operations, done)
        places = [place for place in waiting if type(operations[place][done[place]]) is kind]
        some = [drawn[place] for place in places]
        wanted: list[Any] = [operations[place][done[place]] for place in places]
        if kind in _LAY:
            results = _LAY[kind](some, wanted, station, others or {}, draw_moves)
        else:
            results = _DRAW[kind](some, wanted, station)
        for place, result in zip(places, results, strict=True):
            drawn[place] = result
            done[place] += 1
    return drawn


def _next_kind(
    waiting: Sequence[int], operations: Sequence[Sequence[Operation]], done: Sequence[int]
) -> type:
    """What the first of the pictures with the most operations left waits for."""
    behind = max(waiting, key=lambda place: len(operations[place]) - done[place])
    return type(operations[behind][done[behind]])
