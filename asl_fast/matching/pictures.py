"""Rows of views as rows of their pictures: `photo#quarter-1` is a row of the picture `photo`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from asl_fast.records import VIEW_MARK, WHOLE_VIEW, Embeddings

_WHOLE = VIEW_MARK + WHOLE_VIEW


@dataclass(frozen=True)
class PictureRows:
    """Described by picture, row by row.

    rows: as they were embedded, but norm_N is that of the whole picture: how much of the original is held is
    a matter of the picture, so all pairs of views of two pictures have one ratio and one verdict.
    ids: the picture of each row.  view_N: the view.  picture_N: the picture's number, from 0 in order of
    first rows.
    """

    rows: Embeddings
    ids: Sequence[str]
    view_N: Sequence[str]
    picture_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        return self.rows.name

    @property
    def fingerprint(self) -> str:
        return self.rows.fingerprint

    @property
    def norms_fingerprint(self) -> str:
        return self.rows.norms_fingerprint

    @property
    def num_dims(self) -> int:
        return self.rows.num_dims

    @property
    def norm_N(self) -> NDArray[np.float64]:
        return self.rows.norm_N

    @property
    def path_N(self) -> Sequence[str] | None:
        return self.rows.path_N

    @cached_property
    def num_pictures(self) -> int:
        return int(self.picture_N.max()) + 1

    def by_picture(self, count_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """Counts by row -> counts by picture."""
        return np.bincount(self.picture_N, weights=count_N).astype(np.int64)

    @cached_property
    def most_views(self) -> int:
        """Rows of the picture that has the most."""
        return int(np.bincount(self.picture_N).max())


def by_picture(embeddings: Embeddings) -> PictureRows:
    """Where an id ends in `#whole` all must be of views, and every picture needs its whole; ValueError names
    the first that breaks this. Elsewhere each row is a picture, whatever its id.
    """
    if not any(identity.endswith(_WHOLE) for identity in embeddings.ids):
        return PictureRows(
            embeddings, embeddings.ids, [WHOLE_VIEW] * len(embeddings), np.arange(len(embeddings))
        )
    parts = [identity.rpartition(VIEW_MARK) for identity in embeddings.ids]
    for row, (picture, mark, _) in enumerate(parts):
        if not mark or not picture:
            raise ValueError(
                f"{embeddings.name}: id {embeddings.ids[row]!r} is no `picture{VIEW_MARK}view`, as others "
                "are; embed all pictures of a side with the same --views"
            )
    number_of: dict[str, int] = {}
    picture_N = np.array([number_of.setdefault(picture, len(number_of)) for picture, _, _ in parts])
    norm_of_P = np.full(len(number_of), np.nan)
    whole_N = np.array([view == WHOLE_VIEW for _, _, view in parts])
    norm_of_P[picture_N[whole_N]] = embeddings.norm_N[whole_N]
    if (without_P := np.isnan(norm_of_P)).any():
        picture = list(number_of)[int(np.argmax(without_P))]
        raise ValueError(
            f"{embeddings.name}: picture {picture!r} has no row {picture + _WHOLE!r}, from which its norm is "
            "read; embed it again with --views"
        )
    return PictureRows(
        replace(embeddings, norm_N=norm_of_P[picture_N]),
        [picture for picture, _, _ in parts],
        [view for _, _, view in parts],
        picture_N,
    )
