"""The report's page in a real browser; skipped without Chromium."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from saltseg.evaluation.review import REASONS
from saltseg.report import palette, sprites
from saltseg.report.page import NO_TEST, read_figure, write_page
from saltseg.survey.tiles import Tiles
from support.browser import Browser, needs_chromium

# True once every requested image has loaded.
SEEN = "[...probed.values()].every((image) => image.complete)"


@pytest.fixture(scope="module")
def results(finished) -> Path:
    return finished / "results"


@pytest.fixture(scope="module")
def page(results):
    with Browser() as browser:
        browser.open(results / "index.html")
        browser.wait_for(SEEN)
        yield browser
        assert browser.said == []


def chosen(browser, **values) -> str:
    """Set controls and return the page's count text."""
    for name, value in values.items():
        event = "input" if name == "search" else "change"
        browser.run(
            f"$({name!r}).value = {value!r}; $({name!r}).dispatchEvent(new Event({event!r}))"
        )
    browser.wait_for(SEEN)
    return browser.run("$('count').textContent")


def anew(browser) -> None:
    chosen(browser, part="labelled", search="", reason="")
    chosen(browser, **{"class": "", "order": "worst first"})


@needs_chromium
def test_the_page_says_the_score_and_has_all_figures(page, results):
    score = json.loads((results / "threshold.json").read_text())["score"]
    assert page.run("document.querySelector('.score strong').textContent") == f"{score:.4f}"
    assert "no member trained on the tile" in page.run("document.querySelector('.score').innerText")
    names = page.run("[...document.querySelectorAll('figure')].map((figure) => figure.id)")
    assert sorted(names) == sorted(path.stem for path in (results / "figures").glob("*.svg"))
    # Each figure has an accessible name and description.
    assert page.run(
        "[...document.querySelectorAll('svg')].every((svg) => svg.ariaLabel"
        " && $(svg.getAttribute('aria-describedby')).textContent.length > 20)"
    )
    assert page.run("document.getElementById('members').innerText").startswith("Score against")


@needs_chromium
def test_tiles_are_filtered_by_id_class_and_reason(page, results):
    anew(page)
    review = pd.read_csv(results / "review.csv", dtype={"id": str}, keep_default_na=False)
    assert page.run("$('count').textContent") == "48 of 48 labelled tiles; showing 1 to 24"
    names = "[...document.querySelectorAll('.name')].map((name) => name.textContent)"
    assert page.run(names) == review["id"].tolist()[:24]
    wanted = review["id"][30]
    assert chosen(page, search=wanted[2:].upper()).startswith("1 of 48 labelled tiles")
    assert page.run(names) == [wanted]
    anew(page)
    empty = (review["coverage"] == 0).sum()
    assert chosen(page, **{"class": "0"}).startswith(f"{empty} of 48 labelled tiles")
    anew(page)
    black = (review["reason"] == "black_tile").sum()
    # The first reason is that there is none.
    number = 1 + list(REASONS).index("black_tile")
    assert black and chosen(page, reason=str(number)).startswith(f"{black} of 48 labelled tiles")
    anew(page)
    assert chosen(page, search="no such id") == "None of 48 labelled tiles match"
    anew(page)
    deepest = Tiles(results / "data/train.h5").table.nlargest(1, "depth")
    chosen(page, order="shallow first")
    page.run("$('next').click()")
    assert page.run(names)[-1] in set(deepest["id"])
    assert page.run("$('next').disabled && !$('previous').disabled")
    assert chosen(page, part="test").startswith("12 of 12 test tiles")
    assert page.run("document.querySelector('#cards button').innerText.includes('prediction')")
    assert page.run("$('missing').hidden")


@needs_chromium
def test_a_tile_is_opened_turned_and_closed_by_keys(page):
    anew(page)
    page.run("document.querySelector('#cards button').focus()")
    page.press("Enter")
    first = page.run("$('detail').open && $('detail-title').textContent")
    assert first == "Tile " + page.run("document.querySelector('.name').textContent")
    page.press("ArrowRight")
    assert page.run("$('detail-title').textContent") != first
    page.press("ArrowLeft")
    assert page.run("$('detail-title').textContent") == first
    for _ in range(30):
        page.press("ArrowRight")
    page.press("Escape")
    # Beyond the first page of cards; the focus returns to the tile last viewed.
    page.wait_for("$('count').textContent.endsWith('showing 25 to 48')")
    page.wait_for("[...$('cards').children].indexOf(document.activeElement.parentElement) === 6")
    page.run("$('search').focus()")
    page.type("zz")
    assert page.run("$('count').textContent").startswith("None of")
    anew(page)


@needs_chromium
def test_the_page_shows_the_tile_s_own_pixels(page, results, tmp_path):
    """Compare a screenshot of the first card's first panel with its tile."""
    anew(page)
    page.run("document.querySelector('#cards .panel').scrollIntoView()")
    box = page.run(
        "(() => { const box = document.querySelector('#cards .panel').getBoundingClientRect();"
        " return [box.left, box.top, box.right, box.bottom] })()"
    )
    page.picture(tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as picture:
        seen = picture.convert("L").crop([round(side) for side in box]).resize((101, 101))
    name = page.run("document.querySelector('.name').textContent")
    tiles = Tiles(results / "data/train.h5")
    tile = tiles.images[tiles.ids.index(name)].astype(float)
    assert np.abs(np.asarray(seen, dtype=float) - tile).mean() < 12


def test_the_page_asks_for_nothing_from_elsewhere_and_is_small(results):
    text = (results / "index.html").read_text()
    named = set(re.findall(r"https?://[^\s\"'<)]+", text))
    # XML namespaces, which are not fetched.
    assert named <= {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(|@import|<link[^>]+stylesheet", text)
    assert (results / "index.html").stat().st_size < 1_000_000
    # Element ids are unique.
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))


def test_sheets_hold_each_tile_in_its_place(tmp_path):
    random = np.random.default_rng(0)
    images = np.repeat(np.arange(20, dtype=np.uint8)[:, None, None] * 12, 6, 1).repeat(8, 2)
    masks, predicted = random.random((2, 20, 6, 8)) < 0.5
    probabilities = np.where(predicted, 0.8, 0.2)
    sprites.write_sheets(tmp_path / "labelled", 32, images, probabilities, predicted, masks)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "labelled-2-grey.webp", "labelled-2-masks.webp",
        "labelled-3-grey.webp", "labelled-3-masks.webp",
    ]  # fmt: skip
    with Image.open(tmp_path / "labelled-3-masks.webp") as sheet:
        drawn = np.asarray(sheet.convert("RGBA")).reshape(4, 6, 3, 8, 4)
    for row in range(4):
        truth, decision, errors = np.moveaxis(drawn[row], 1, 0)
        assert ((truth[..., :3] == palette.rgb(palette.TRUTH)).all(-1) == masks[16 + row]).all()
        chosen = (decision[..., :3] == palette.rgb(palette.PREDICTION)).all(-1)
        assert (chosen == predicted[16 + row]).all()
        # The overlay is transparent where both agree that there is no salt.
        assert not errors[~masks[16 + row] & ~predicted[16 + row]][:, 3].any()
    with Image.open(tmp_path / "labelled-2-grey.webp") as sheet:
        grey = np.asarray(sheet.convert("L")).reshape(16, 6, 2, 8)
    assert np.abs(grey[:, :, 0] - images[:16].astype(float)).mean() < 8


def test_a_figure_s_text_stays_text(tmp_path):
    path = tmp_path / "odd.svg"
    path.write_text(
        '<?xml version="1.0"?><svg viewBox="0 0 1 1"><metadata><dc:title>a &lt;b</dc:title>'
        "<dc:description>Not drawn: c &amp; d</dc:description></metadata></svg>"
    )
    facts = {"test": NO_TEST, "reasons": {"odd": "</script>"}}
    head = {"score": "0.5", "honest": True, "said": "a < b & c", "facts": {"<i>": '"<b>"'}}
    write_page(tmp_path / "page.html", head, [read_figure(path)], facts)
    text = (tmp_path / "page.html").read_text()
    assert "<h3>a &lt;b</h3>" in text and "c &amp; d" in text and "<svg" not in text
    assert "a &lt; b &amp; c" in text and "&lt;i&gt;" in text and "&lt;b&gt;" in text
    assert text.count("</script>") == 2
