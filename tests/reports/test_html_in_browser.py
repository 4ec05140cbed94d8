"""The HTML page in a real headless browser: the filters work, the thumbnails show, no file name runs."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from pages import BLUE, HOSTILE, RED, write_page
from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("ASL_FAST_REQUIRE_BROWSER"):
        pytest.fail("ASL_FAST_REQUIRE_BROWSER is set but no browser is on PATH")
    if found is None:
        pytest.skip(f"no browser on PATH (looked for {', '.join(BROWSERS)}); the page is only tested as text")
    return found


@pytest.fixture
def visit(browser, tmp_path):
    """Open a page and return what the browser prints."""

    def visit(page, fragment="", *flags):
        command = [browser, *FLAGS, f"--user-data-dir={tmp_path}/profile", *flags, page.as_uri() + fragment]
        return subprocess.run(command, capture_output=True, timeout=120, check=True).stdout.decode()

    return visit


def shown_pairs(dom):
    rows = re.findall(r'<li [^>]*id="pair-(\d+)"([^>]*)>', dom)
    return [int(number) for number, attributes in rows if "hidden" not in attributes]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("#verdict=copy", [1, 3]),
        ("#min=0.935", [1, 2]),
        ("#id=CAT", [2, 3]),
        ("#verdict=copy&id=cat", [3]),
        ("#id=nowhere", []),
        ("#verdict=nonsense&min=x", [1, 2, 3, 4]),
    ],
)
def test_filters_show_exactly_the_pairs_that_fit(visit, tmp_path, fragment, expected):
    # scores .95 .94 .93 .92, verdicts copy original copy original
    write_page(tmp_path / "page.html", ["dog", "cat1", "cat2", "cow"], ["r1", "r2", "r3", "r4"])
    dom = visit(tmp_path / "page.html", fragment, "--dump-dom")
    assert shown_pairs(dom) == expected
    assert f"{len(expected)} of 4 shown" in dom
    assert ('id="empty" hidden' in dom) == bool(expected)


def test_hostile_names_run_nothing(visit, tmp_path):
    write_page(tmp_path / "page.html", HOSTILE, HOSTILE[::-1], title="quiet")
    dom = visit(tmp_path / "page.html", "", "--dump-dom")
    assert "<title>quiet</title>" in dom
    assert dom.count("<script") == 1 and "<img" not in dom and not re.search(r"<[^>\"]* on\w+=", dom)
    assert len(shown_pairs(dom)) == len(HOSTILE)


def test_hostile_address_runs_nothing(visit, tmp_path):
    write_page(tmp_path / "page.html", ["q"], ["r"], title="quiet")
    fragment = "#id=<img src=x onerror=document.title=1>&verdict=javascript:alert(1)"
    assert "<title>quiet</title>" in visit(tmp_path / "page.html", fragment, "--dump-dom")


@pytest.mark.parametrize("width_px", [1280, 500])
@pytest.mark.parametrize("has_script", [True, False])
def test_thumbnails_are_seen_with_and_without_script(visit, tmp_path, width_px, has_script):
    page = tmp_path / "page.html"
    text = write_page(page, ["q"], ["r"])
    if not has_script:
        page.write_text(text.replace("<script>", '<script type="text/plain">'), encoding="utf-8")
    assert ('id="filters" hidden' in visit(page, "", "--dump-dom")) == (not has_script)
    visit(page, "", f"--window-size={width_px},700", f"--screenshot={tmp_path}/shot.png")
    with Image.open(tmp_path / "shot.png") as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=int)
    red, blue = (np.abs(pixels - colour).max(axis=2) <= 6 for colour in (RED, BLUE))
    assert red.sum() > 20_000 and blue.sum() > 20_000
    assert red.nonzero()[1].max() < blue.nonzero()[1].min()  # the query is left of the reference
