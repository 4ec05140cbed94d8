"""The HTML page as text: what a parser finds in it."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from pages import BLUE, HOSTILE, RED, matches_of, plain_colour, write_page
from PIL import Image

from asl_fast.reports import Picture, printable, write_html
from asl_fast.reports.html import link_to


class Page(HTMLParser):
    """Every start tag with its attributes, and the text inside each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "path"):
            self.open.append(tag)
        self.text.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]][-1] += data

    def shape(self):
        return [(tag, sorted(attrs)) for tag, attrs in self.tags]

    def all_of(self, tag, css_class):
        return [
            attrs for name, attrs in self.tags if name == tag and css_class in attrs.get("class", "").split()
        ]


def test_hostile_names_create_no_element_and_no_attribute(tmp_path):
    names = {"title": "plain", "matches_name": "plain"}
    plain = Page(
        write_page(tmp_path / "a.html", [f"q{n}" for n in range(11)], [f"r{n}" for n in range(11)], **names)
    )
    names = {"title": HOSTILE[1], "matches_name": HOSTILE[0]}
    hostile = Page(write_page(tmp_path / "b.html", HOSTILE, HOSTILE[::-1], **names))
    assert hostile.shape() == plain.shape()
    assert [attrs["title"] for attrs in hostile.all_of("bdi", "id")][::2] == [
        printable(name) for name in HOSTILE
    ]
    assert [text for text in hostile.text["bdi"][1:]][::2] == [printable(name) for name in HOSTILE]
    assert hostile.text["title"] == [HOSTILE[1]]
    assert hostile.text["script"] == plain.text["script"]


def test_what_can_not_be_seen_is_shown_as_its_escape(tmp_path):
    text = write_page(tmp_path / "a.html", ["a\u202eb\x1b\u2028\udcff"], ["r"])
    assert "a\\u202eb\\x1b\\u2028\\udcff" in text
    assert not re.search("[\u202e\x1b\u2028]", text)


def test_links_lead_to_the_files_and_nowhere_else(tmp_path):
    page = Page(write_page(tmp_path / "a.html", HOSTILE, HOSTILE))
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert len(links) == 2 * len(HOSTILE)
    for link, name in zip(links[::2], HOSTILE, strict=True):
        assert urlsplit(link).scheme == "file" and urlsplit(link).netloc == ""
        assert unquote(urlsplit(link).path, errors="surrogateescape") == f"/photos/{name or 'x'}"
    assert all(attrs["rel"] == "noopener noreferrer" for tag, attrs in page.tags if tag == "a")


def test_link_below_the_pages_folder_is_relative_and_can_have_no_scheme():
    assert link_to("/out/photos/a b#?.jpg", Path("/out")) == "photos/a%20b%23%3F.jpg"
    assert link_to("/out/javascript:alert(1)", Path("/out")) == "javascript%3Aalert%281%29"
    assert link_to("/elsewhere/a b.jpg", Path("/out")) == "file:///elsewhere/a%20b.jpg"
    assert link_to("/out/../up.jpg", Path("/out")) == "file:///up.jpg"


def test_page_refers_to_nothing_outside_itself(tmp_path):
    text = write_page(tmp_path / "a.html", ["q"], ["r"])
    page = Page(text)
    assert not re.search("https?:|@import|srcset|<link", text)
    assert all("src" not in attrs and "style" not in attrs for _, attrs in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert set(re.findall(r"url\(([^,]*)", text)) == {"data:image/jpeg;base64"}


def test_policy_allows_exactly_the_styles_and_the_script_of_the_page(tmp_path):
    page = Page(write_page(tmp_path / "a.html", ["q"], ["r"]))
    policy = next(
        attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))

    def hashes(texts):
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

    assert rules == {
        "default-src": "'none'", "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
        "style-src": " ".join(hashes(page.text["style"])),
        "script-src": " ".join(hashes(page.text["script"])),
    }  # fmt: skip


def test_each_distinct_picture_is_embedded_once_and_asked_for_once(tmp_path):
    asked = []

    def query_picture(identity):
        asked.append(identity)
        return plain_colour(RED)(identity)

    text = write_page(
        tmp_path / "a.html", ["q1", "q1", "q2", "q1"], ["r1", "r2", "r1", "r1"], query_picture=query_picture
    )
    assert asked == ["q1", "q2"]
    assert text.count("data:image/jpeg") == 4  # q1, q2, r1, r2
    shown = [attrs["class"] for attrs in Page(text).all_of("a", "thumb")]
    assert shown[0] == shown[2] == shown[6] and shown[1] == shown[5] == shown[7] and len(set(shown)) == 4


def test_thumbnails_are_jpegs_of_the_right_picture_no_longer_than_256_px(tmp_path):
    text = write_page(tmp_path / "a.html", ["q"], ["r"])
    for (_, data), colour in zip(
        re.findall(r"\.(t\d+)\{.*?base64,([^)]*)\)", text), (RED, BLUE), strict=True
    ):
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert (picture.format, picture.size) == ("JPEG", (256, 171))
            assert np.abs(np.asarray(picture, dtype=int) - colour).max() <= 4


class Torn(Image.Image):
    """A picture that turns out to be broken only when its pixels are asked for, as Pillow's lazy files do."""

    def copy(self):
        raise OSError("image file is truncated")


def test_picture_that_is_missing_or_broken_becomes_a_placeholder(tmp_path):
    for picture in (None, Picture(), Picture(path="/photos/x.jpg"), Picture(image=Torn())):
        text = write_page(tmp_path / "a.html", ["q"], ["r"], query_picture=lambda _, shown=picture: shown)
        page = Page(text)
        assert len(page.all_of("span", "none")) + len(page.all_of("a", "none")) == 1
        assert text.count("data:image/jpeg") == 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "F", "I;16"])
def test_every_kind_of_picture_gets_a_thumbnail(tmp_path, mode):
    picture = Picture(image=Image.new(mode, (40, 30)))
    assert (
        write_page(tmp_path / "a.html", ["q"], ["r"], query_picture=lambda _: picture).count("data:image")
        == 2
    )


def test_cap_is_said_plainly_and_keeps_the_best(tmp_path):
    ids = [f"n{number}" for number in range(1234)]
    text = write_page(tmp_path / "a.html", ids, ids, max_pairs=5, query_picture=lambda _: None)
    assert "showing the best 5 of 1,234 pairs; all are in <bdi>matches.csv</bdi>" in text
    assert [attrs["title"] for attrs in Page(text).all_of("bdi", "id")][::2] == ids[:5]
    with pytest.raises(ValueError, match="at least 1, got 0"):
        write_page(tmp_path / "a.html", ids, ids, max_pairs=0)


def test_no_match_makes_a_page_that_says_so(tmp_path):
    assert "There are no pairs to show." in write_page(tmp_path / "a.html", [], [])


def test_pairs_show_their_numbers_verdict_and_the_way_the_arrow_points(tmp_path):
    page = Page(write_page(tmp_path / "a.html", ["q0", "q1"], ["r0", "r1"]))
    pairs = page.all_of("li", "pair")
    assert [pair["data-verdict"] for pair in pairs] == ["copy", "original"]
    assert [float(pair["data-score"]) for pair in pairs] == [0.95, 0.94]
    arrows = [attrs["aria-label"] for attrs in page.all_of("svg", "arrow")]
    assert arrows == ["from the reference to the query", "from the query to the reference"]
    assert page.text["dd"] == ["0.9500", "0.5000", "0.9400", "1.5000"]


def test_failed_write_leaves_the_old_page(tmp_path):
    write_page(tmp_path / "a.html", ["q"], ["r"])

    def broken(identity):
        raise RuntimeError(identity)

    before = (tmp_path / "a.html").read_bytes()
    with pytest.raises(RuntimeError):
        write_html(
            tmp_path / "a.html",
            matches_of(["x"], ["r"]),
            tau=1,
            query_picture=broken,
            reference_picture=broken,
        )
    assert (tmp_path / "a.html").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]
