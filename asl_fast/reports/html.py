"""The pairs side by side, in one HTML file that needs nothing else.

File names and ids are hostile input. Four walls, each enough by itself: the template escapes every value;
what can't be seen (control characters, bidirectional overrides) is shown as its escape; the page's
Content-Security-Policy allows no network and only the two styles and the one script whose SHA-256 it names;
ids never enter a style or a script. Each distinct picture is embedded once, as a style rule that its figures
refer to, so the page shows everything without its script too.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from asl_fast.files import replacing
from asl_fast.records import COPY, Matches
from asl_fast.reports.text import printable

THUMBNAIL_PX = 256
DEFAULT_MAX_PAIRS = 500
HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Picture:
    """path: the file to link to, None if there is none. image: None if it can't be shown."""

    path: str | os.PathLike[str] | None = None
    image: Image.Image | None = None


FindPicture = Callable[[str], Picture | None]


def write_html(
    path: str | os.PathLike[str],
    matches: Matches,
    *,
    tau: float,
    query_picture: FindPicture,
    reference_picture: FindPicture,
    title: str = "asl_fast matches",
    max_pairs: int = DEFAULT_MAX_PAIRS,
    matches_name: str = "matches.csv",
    num_matches: int | None = None,
) -> None:
    """Write the page of the best `max_pairs` matches, or leave `path` as it was.

    query_picture and reference_picture are called once for each distinct id on the page; None, or a
    Picture without an image, becomes a placeholder. num_matches: how many there are in all, if `matches`
    holds only the best of them.
    """
    if max_pairs < 1:
        raise ValueError(f"report: the number of pairs must be at least 1, got {max_pairs}")
    shown = min(max_pairs, len(matches))
    thumbnails = Thumbnails(Path(os.path.abspath(path)).parent)
    queries = thumbnails.of(matches.query_id_M[:shown], query_picture)
    references = thumbnails.of(matches.reference_id_M[:shown], reference_picture)
    pairs = [
        {
            "number": row + 1,
            "query": queries[matches.query_id_M[row]],
            "reference": references[matches.reference_id_M[row]],
            "score": float(matches.score_M[row]),
            "ratio": float(matches.ratio_M[row]),
            "query_norm": float(matches.query_norm_M[row]),
            "reference_norm": float(matches.reference_norm_M[row]),
            "is_copy": matches.verdict_M[row] == COPY,
        }
        for row in range(shown)
    ]
    page = render(
        "page",
        script="page.js",
        pairs=pairs,
        title=printable(title),
        tau=tau,
        num_matches=len(matches) if num_matches is None else num_matches,
        num_copies=sum(pair["is_copy"] for pair in pairs),
        lowest_score=float(np.min(matches.score_M[:shown], initial=1.0)),
        highest_score=float(np.max(matches.score_M[:shown], initial=1.0)),
        matches_name=printable(matches_name),
        thumbnails="".join(thumbnails.rules),
    )
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


class Thumbnails:
    """Style rules, one for each distinct picture, and what the template needs to show a picture."""

    def __init__(self, page_folder: Path) -> None:
        self.page_folder = page_folder
        self.rules: list[str] = []

    def of(self, ids: Any, find: FindPicture) -> dict[str, dict[str, Any]]:
        return {identity: self._shown(identity, find(identity)) for identity in dict.fromkeys(ids)}

    def _shown(self, identity: str, picture: Picture | None) -> dict[str, Any]:
        picture = picture or Picture()
        data = None if picture.image is None else jpeg(picture.image)
        thumbnail = None
        if data is not None:
            thumbnail = f"t{len(self.rules)}"
            encoded = base64.b64encode(data).decode("ascii")
            self.rules.append(f".{thumbnail}{{background-image:url(data:image/jpeg;base64,{encoded})}}\n")
        link = None if picture.path is None else link_to(picture.path, self.page_folder)
        return {"id": printable(identity), "link": link, "thumbnail": thumbnail}


def jpeg(image: Image.Image) -> bytes | None:
    """A thumbnail as JPEG, None if the picture can't be read after all."""
    try:
        small = image.copy()
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        if small.mode in ("RGBA", "LA", "PA") or "transparency" in small.info:
            on_white = Image.new("RGBA", small.size, "white")
            small = Image.alpha_composite(on_white, small.convert("RGBA"))
        data = io.BytesIO()
        small.convert("RGB").save(data, "JPEG", quality=82, optimize=True)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # Pillow decodes late: a file may turn out to be broken only here
    return data.getvalue()


def link_to(path: str | os.PathLike[str], page_folder: Path) -> str:
    """Relative where the file lies under the page's folder (they can move together), else a file:// URI."""
    absolute = Path(os.path.abspath(path))
    if absolute.is_relative_to(page_folder):
        return quote(os.fsencode(absolute.relative_to(page_folder)))
    return absolute.as_uri()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def render(name: str, *, thumbnails: str, script: str | None = None, **values: Any) -> str:
    """The page of template `name`, with its style and script, and a policy that allows no others."""
    style = "".join(
        (HERE / f"{sheet}.css").read_text(encoding="utf-8") for sheet in dict.fromkeys(("page", name))
    )
    code = None if script is None else (HERE / script).read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)} {_hash(thumbnails)}; "
        f"script-src {_none_or_hash(code)}; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(f"{name}.html.j2")
        .render(
            policy=policy,
            style=Markup(style),
            script=None if code is None else Markup(code),
            thumbnails=Markup(thumbnails),
            **values,
        )
    )


def _none_or_hash(code: str | None) -> str:
    return "'none'" if code is None else _hash(code)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
