"""Contact sheets: pictures side by side; edits with what the trace knows drawn on them."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from asl_fast.files import replacing
from asl_fast.reports.text import printable

HERE = Path(__file__).parent
_EDGE_PX = 320
_LINE = (0, 200, 90)
_HIDDEN = (230, 0, 60)


@dataclass(frozen=True, kw_only=True, eq=False)
class SheetRow:
    """One photo and its edited copy, pixels as uint8 (height, width, 3).

    region_in_photo, region_in_view: (corners, 2), the part of the photo that is in the view, in the pixels of
    each.  hidden: (rows, columns) over the view, how much of the photo is covered there, 0 to 1.
    content: share of the photo that survives.  chain: the edits in one line.
    """

    id: str
    photo: NDArray[np.uint8]
    view: NDArray[np.uint8]
    region_in_photo: NDArray[np.float64]
    region_in_view: NDArray[np.float64]
    hidden: NDArray[np.float32]
    content: float
    chain: str


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureRow:
    """Pictures side by side: each what it is, and uint8 (height, width, 3).  note, text: about them."""

    title: str
    note: str
    pictures: tuple[tuple[str, NDArray[np.uint8]], ...]
    text: str


_TRACED = (
    "Left the photo, in the middle its edited copy, right the copy with its trace: green round the photo's "
    "part that is left, red where it is covered."
)


def write_sheet(path: str | os.PathLike[str], rows: Sequence[SheetRow], *, title: str) -> None:
    """Write the page of edited copies, one file that needs nothing else, or leave `path` as it was."""
    shown = [
        PictureRow(
            title=row.id,
            note=f"{100 * row.content:.0f} % of the content is left",
            pictures=tuple(
                zip(("the photo", "edited", "edited, with its trace"), traced_pictures(row), strict=True)
            ),
            text=row.chain,
        )
        for row in rows
    ]
    write_pictures(path, shown, title=title, intro=_TRACED)


def write_pictures(
    path: str | os.PathLike[str], rows: Sequence[PictureRow], *, title: str, intro: str
) -> None:
    """Write a page of pictures, one file that needs nothing else, or leave `path` as it was."""
    shown = [
        {
            "title": printable(row.title),
            "note": printable(row.note),
            "pictures": [
                (printable(what), _embedded(_enlarged(picture)[0])) for what, picture in row.pictures
            ],
            "text": printable(row.text),
        }
        for row in rows
    ]
    style = (HERE / "sheet.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    page = _template().render(
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'",
        style=Markup(style),
        title=printable(title),
        intro=printable(intro),
        rows=shown,
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def traced_pictures(row: SheetRow) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """The photo with the part that survives outlined; the copy; the copy with the trace drawn on it."""
    photo, photo_scale = _enlarged(row.photo)
    view, view_scale = _enlarged(row.view)
    height, width = view.shape[:2]
    hidden_HW = cv2.resize(row.hidden, (width, height), interpolation=cv2.INTER_LINEAR)[:, :, None]
    tinted = np.rint(view * (1 - 0.55 * hidden_HW) + 0.55 * hidden_HW * np.array(_HIDDEN)).astype(np.uint8)
    return (
        _outlined(photo, row.region_in_photo * photo_scale),
        view,
        _outlined(tinted, row.region_in_view * view_scale),
    )


def _enlarged(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The picture with its longer edge at _EDGE_PX."""
    scale = _EDGE_PX / max(pixels.shape[:2])
    if scale == 1:
        return pixels, 1.0
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8), scale


def _outlined(pixels: NDArray[np.uint8], corner_C2: NDArray[np.float64]) -> NDArray[np.uint8]:
    drawn = pixels.copy()
    if len(corner_C2):
        inside = np.clip(corner_C2, 1, np.array(pixels.shape[1::-1]) - 2)
        cv2.polylines(drawn, [np.rint(inside).astype(np.int32)], True, _LINE, 2, cv2.LINE_AA)
    return drawn


def _embedded(pixels: NDArray[np.uint8]) -> str:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode('ascii')}"


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("sheet.html.j2")
