"""Photos that edits lay over or under another: never one of the same scene or pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from asl_fast.edits import Chain, Edit


def kept_apart(chain: Chain, related: Sequence[int], num_photos: int) -> Chain:
    """The chain with other photos of the pool where it would take one of `related`.

    related: rising.  What was drawn evenly from all photos becomes drawn evenly from the others; if there are
    no others the chain stays as it is.
    """
    if len(related) >= num_photos:
        return chain
    edits = tuple(_apart(edit, related, num_photos) for edit in chain.edits)
    return chain if edits == chain.edits else Chain(edits)


def _apart(edit: Edit, related: Sequence[int], num_photos: int) -> Edit:
    """An edit names the photos it takes in `other`, or in `others` if it takes several."""
    change: dict[str, Any] = {}
    if hasattr(edit, "other"):
        change["other"] = _moved(edit.other, related, num_photos)
    if hasattr(edit, "others"):
        change["others"] = tuple(_moved(other, related, num_photos) for other in edit.others)
    return dataclasses.replace(edit, **change) if change else edit  # type: ignore[type-var]


def _moved(share: float, related: Sequence[int], num_photos: int) -> float:
    """Where the photo that is `share` of the way through the others lies, as a share of all."""
    number = int(share * (num_photos - len(related)))
    for photo in related:
        if number >= photo:
            number += 1
    return (number + 0.5) / num_photos
