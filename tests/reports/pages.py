"""Matches and pictures for the tests of the HTML page."""

import numpy as np
from PIL import Image

from asl_fast.records import Matches
from asl_fast.reports import Picture, write_html

RED, BLUE = (200, 30, 40), (30, 60, 200)
HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    '"></script><script>document.title="owned"</script>',
    "' onmouseover='document.title=1' x='",
    "</style><script>document.title=2</script>",
    "two\nlines\rand\x00more\x1b[31m",
    "\u202egpj.exe\u2066",
    "&lt;b&gt; {{ 7*7 }} {% raw %} ${1}",
    "javascript:alert(1)",
    "<!-- \u2028 ]]>",
    "\udcff.jpg",
    "",
]


def matches_of(query_ids, reference_ids, ratios=None):
    count = len(query_ids)
    ratio_M = np.resize([0.5, 1.5], count) if ratios is None else np.array(ratios)
    return Matches(
        query_id_M=query_ids, reference_id_M=reference_ids, score_M=0.95 - np.arange(count) / 100,
        query_norm_M=ratio_M * 10, reference_norm_M=np.full(count, 10.0), ratio_M=ratio_M,
        verdict_M=["copy" if ratio <= 1 else "original" for ratio in ratio_M],
    )  # fmt: skip


def plain_colour(colour):
    return lambda identity: Picture(
        path=f"/photos/{identity or 'x'}", image=Image.new("RGB", (300, 200), colour)
    )


def write_page(path, query_ids, reference_ids, **options):
    options = {
        "tau": 1.0,
        "query_picture": plain_colour(RED),
        "reference_picture": plain_colour(BLUE),
        **options,
    }
    write_html(path, matches_of(query_ids, reference_ids), **options)
    return path.read_text(encoding="utf-8")
