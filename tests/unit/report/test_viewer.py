"""The page's viewer of a volume: what its pictures hold, and what it does in a browser."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from saltseg.report import palette, viewer
from saltseg.report.page import NO_TEST, write_page
from saltseg.report.predicted import describe_volume
from saltseg.report.viewer import (
    VolumeView,
    as_masked,
    choose_lines,
    fill,
    write_viewer,
)
from saltseg.survey.character import Character
from saltseg.survey.grid import Axis, Grid
from support.browser import Browser, needs_chromium

NUMBERS = ("score", "reason", "iou", "coverage", "predicted", "class", "disagreement", "depth")
NO_TILES = {name: [] for name in (*NUMBERS, "fold")} | {"ids": "", "size": [1, 1]}
SHOWS = "$('section').dataset.shows"


class Made:
    """A volume in memory, of which only blocks are handed out, and no large ones."""

    def __init__(self, shape=(24, 30, 40), **settings):
        random = np.random.default_rng(5)
        self.shape = shape
        self.amplitude = random.normal(0, 0.2, shape).astype(np.float16)
        self.amplitude[0, :3] = self.amplitude[-1, -2:] = np.nan
        exists = np.ones(shape[:2], bool)
        exists[0, :3] = False  # the others are dead
        distances = (np.arange(n) - n / 2 for n in shape)
        ball = sum((np.square(d) for d in np.ix_(*distances)), 0.0)
        self.probability = 1 / (1 + np.exp((np.sqrt(ball) - min(min(shape) / 3, 9)) / 1.5))
        self.disagreement = 0.2 * self.probability * (1 - self.probability)
        self.truth = ball < 60
        self.most = 0
        labels = {("inline", k): self.truth[k].T for k in range(4, shape[0], 8)}
        self.view = VolumeView(
            **{
                "grid": Grid(
                    Axis(100, 1, shape[0]), Axis(300, 2, shape[1]), Axis(1000.0, 4.0, shape[2])
                ),
                "unit": "ms",
                "amplitude": self.reader(self.amplitude),
                "probability": self.reader(self.probability),
                "disagreement": self.reader(self.disagreement),
                "threshold": 0.5,
                "exists": exists,
                "truth": labels,
                "spacing": (25.0, 12.5),
            }
            | settings
        )

    def reader(self, values):
        def read(inlines, crosslines):
            part = values[inlines, crosslines]
            self.most = max(self.most, part.size)
            return part.copy()

        return read


def page_of(made: Made, folder) -> dict:
    (folder / "sections").mkdir()
    facts = write_viewer(folder / "sections", made.view)
    tiles = {"labelled": NO_TILES, "test": NO_TEST, "rows": 16, "reasons": {}}
    write_page(folder / "index.html", None, [], tiles | {"volume": facts})
    return facts


@pytest.fixture(scope="module")
def made() -> Made:
    return Made()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewer")
    page_of(made, folder)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    with Browser() as browser:
        browser.open(folder / "index.html")
        browser.wait_for(SHOWS)
        yield browser
        assert browser.said == []


def test_lines_are_spread_evenly_and_labelled_ones_preferred():
    assert choose_lines(5, 9, [2]).tolist() == [0, 1, 2, 3, 4]
    lines = choose_lines(1000, 50, [5, 105, 205, 305])
    assert len(lines) == 50 and {5, 105, 205, 305} <= set(lines.tolist())
    assert lines[0] <= 5 and lines[-1] == 999 and np.diff(lines).max() < 2 * 1000 / 49
    assert {500, 501, 502, 503} <= set(choose_lines(1000, 10, [500, 501, 502, 503]).tolist())
    # Labels on every line leave room for others, and are thinned evenly.
    many = choose_lines(1000, 10, list(range(0, 500, 2)))
    assert len(many) <= 10 and (many > 600).sum() >= 3 and 0 in many and 498 in many


@pytest.mark.parametrize("block", [(32, 256), (7, 11), (1, 1)])
def test_blocks_make_the_pictures_of_the_whole(made, monkeypatch, block):
    monkeypatch.setattr(viewer, "BLOCK", block)
    made.most = 0
    planes, maps = fill(made.view)
    assert made.most <= block[0] * block[1] * made.shape[2]
    amplitude = np.nan_to_num(127.5 + 255 * made.amplitude.astype(np.float32), nan=255)
    greys = [amplitude, 255 * made.probability, 1020 * made.disagreement]
    expected = np.rint(np.clip(greys, 0, 255))
    assert [plane.name for plane in planes] == ["inline", "crossline", "slice"]
    for plane in planes:
        shown = np.moveaxis(plane.layers, 1, plane.axis + 1)
        assert np.abs(shown - expected).max() <= 1
    # Samples go down; in a slice inlines go up.
    assert planes[0].pictures(0).shape == (3, 40, 30)
    np.testing.assert_array_equal(planes[2].pictures(7)[1], planes[2].layers[1, 7][::-1])
    salt = (made.probability > 0.5) & ~np.isnan(made.amplitude)
    for x, y in np.ndindex(made.shape[:2]):
        down = np.flatnonzero(salt[x, y])
        top, thick = (1000 + 4 * down[0], 4 * len(down)) if len(down) else (np.nan, np.nan)
        np.testing.assert_equal((maps["top"][x, y], maps["thickness"][x, y]), (top, thick))
    counts = np.bincount(maps["traces"].ravel(), minlength=4)
    assert counts.tolist() == [3, 24 * 30 - 3 - 2 - 3 * 30, 2, 3 * 30]


@pytest.mark.parametrize("block", [(4, 8), (1, 1)])
def test_large_volumes_are_shrunk_and_thinned(monkeypatch, block):
    made = Made((20, 37, 50), disagreement=None)
    monkeypatch.setattr(viewer, "LONGEST_SIDE", 16)
    monkeypatch.setattr(viewer, "MOST_PIXELS", 13 * 10 * 4)
    monkeypatch.setattr(viewer, "BLOCK", block)
    inline, crossline, cut = fill(made.view)[0]
    assert inline.layers.shape == (2, 4, 10, 13) and cut.layers.shape[2:] == (10, 10)
    assert crossline.layers.shape[2:] == (10, 13)
    assert set(inline.lines.tolist()) >= {4, 12} and len(set(inline.lines.tolist())) == 4
    place = inline.lines[1]
    section = 255 * np.pad(made.probability[place], ((0, 3), (0, 2)), mode="edge")
    expected = section.reshape(10, 4, 13, 4).mean((1, 3))
    np.testing.assert_allclose(inline.layers[1, 1], expected, atol=1)


def test_files_hold_each_layer_in_its_place(made, folder):
    facts = write_viewer(folder / "sections", made.view)
    names = sorted(path.name for path in (folder / "sections").iterdir())
    assert len(names) == 2 * sum(made.shape) + 3
    assert facts["planes"][0]["labelled"] == [int(k % 8 == 4) for k in range(24)]
    with Image.open(folder / "sections/inline-12-grey.webp") as picture:
        grey = np.asarray(picture.convert("L")).astype(float)
    assert grey.shape == (40, 90)
    assert np.abs(grey[:, 30:60] - 255 * made.probability[12].T).mean() < 8
    with Image.open(folder / "sections/inline-12-masks.webp") as picture:
        masks = np.asarray(picture.convert("RGBA"))
    fine = masks.shape[0] // 40
    assert masks.shape == (40 * fine, 2 * 30 * fine, 4) and fine > 4
    for half, colour, mask in (
        (masks[:, : 30 * fine], palette.PREDICTION, made.probability[12] > 0.5),
        (masks[:, 30 * fine :], palette.TRUTH, made.truth[12]),
    ):
        drawn = half[half[..., 3] == 255]
        assert len(drawn) and (drawn[:, :3] == palette.rgb(colour)).all()
        # The outline runs around the mask: it spans as many pixels, and its middle is free.
        rows, columns = np.nonzero(half[..., 3])
        wide, high = np.ptp(np.nonzero(mask)[0]) + 1, np.ptp(np.nonzero(mask)[1]) + 1
        assert abs(np.ptp(columns) / fine - wide) < 1.5 and abs(np.ptp(rows) / fine - high) < 1.5
        assert not half[half.shape[0] // 2, half.shape[1] // 2, 3]
    with Image.open(folder / "sections/inline-13-masks.webp") as picture:
        assert picture.size == (30 * fine, 40 * fine)


def test_maps_hold_live_dead_missing_and_labelled_traces(folder):
    with Image.open(folder / "sections/map-traces.webp") as picture:
        drawn = np.asarray(picture.convert("RGBA"))[::-1]
    assert drawn.shape == (24, 30, 4)
    assert not drawn[0, :3, 3].any() and (drawn[0, 3:, 3] == 255).all()
    colours = {name: palette.rgb(colour) for name, colour in viewer.COLOURS.items()}
    assert tuple(drawn[4, 9, :3]) == colours[viewer.LABELLED] == palette.rgb(palette.TRUTH)
    assert tuple(drawn[-1, -1, :3]) == colours[viewer.DEAD]
    assert tuple(drawn[1, 1, :3]) == colours[viewer.LIVE]
    with Image.open(folder / "sections/map-top.webp") as picture:
        top = np.asarray(picture.convert("RGBA"))[::-1]
    # Shallow is bright.
    assert top[12, 15].astype(int).sum() > top[12, 9].astype(int).sum()
    assert top[2, 20, 3] == viewer.NO_SALT[3] and top[0, 0, 3] == 0


def test_a_line_alone_has_one_direction_and_no_map(tmp_path):
    made = Made((1, 50, 40), truth={}, disagreement=None, spacing=None)
    facts = page_of(made, tmp_path)
    assert [plane["name"] for plane in facts["planes"]] == ["inline"]
    assert facts["maps"] == {} and list(facts["layers"]) == ["amplitude", "probability"]


def test_a_volume_without_salt_is_reported_as_such(tmp_path):
    made = Made(threshold=2.0)
    facts = page_of(made, tmp_path)
    assert facts["summary"].endswith("no salt was predicted.")
    assert facts["maps"]["top"]["colours"] == []


def test_without_a_volume_the_page_has_no_viewer(tmp_path):
    tiles = {"labelled": NO_TILES, "test": NO_TEST, "rows": 16, "reasons": {}}
    write_page(tmp_path / "index.html", None, [], tiles)
    text = (tmp_path / "index.html").read_text()
    assert "volume" not in text and "{{" not in text and "{%" not in text


def test_a_predicted_volume_has_a_page_without_tiles(made, tmp_path):
    (tmp_path / "sections").mkdir()
    viewed = {"volume": write_viewer(tmp_path / "sections", made.view)}
    members = {"3": {"survey": {"frequency": 0.1, "polarity": -1.0}}, "wide-5": {}}
    geometry = SimpleNamespace(path="/data/other <1>.sgy")
    volume = SimpleNamespace(character=Character(frequency=0.1, polarity=1.0), polarity="normal")
    found = {"threshold": 0.25, "bodies": 7, "picked_share": 0.5}
    head = describe_volume(geometry, found, members, volume)
    write_page(tmp_path / "index.html", head, [], viewed)
    text = (tmp_path / "index.html").read_text()
    assert "<title>Salt in other &lt;1&gt;.sgy</title>" in text
    assert '<p class="notice">Polarity looks reversed' in text
    assert "<dd>2 (3, wide-5)</dd>" in text and "<dd>0.2500</dd>" in text
    assert "<dd>50% of the traces, which are as labelled</dd>" in text
    assert '<a href="mask.sgy">' in text and '<a href="#volume">' in text
    assert not any(word in text for word in ("review.csv", "Tiles", "Figures", "{{", "{%"))


def press(page, value: str) -> None:
    page.run(f"document.querySelector('#view [value={value}]').click()")


@pytest.mark.parametrize("threshold", [0.4983, 0.5, 0.5017])
def test_pictures_have_salt_above_the_threshold_where_there_are_bodies_alone(threshold):
    made = Made()
    bodies = np.zeros(made.shape, np.uint16)
    bodies[:, :10] = 1
    masked = as_masked(made.reader(made.probability), made.reader(bodies), threshold)
    view = Made(probability=masked, threshold=threshold).view
    (inlines, *_), maps = fill(view)
    drawn = inlines.layers[1] > 255 * threshold
    assert drawn[:, :10].all() and not drawn[:, 10:].any()
    assert (np.isfinite(maps["top"]) == (np.arange(30) < 10)).all()


@needs_chromium
def test_the_viewer_works_on_a_page_without_tiles(folder):
    facts = (folder / "index.html").read_text().partition('type="application/json">')[2]
    seen = json.JSONDecoder().raw_decode(facts)[0]["volume"]
    write_page(folder / "alone.html", None, [], {"volume": seen})
    with Browser() as browser:
        browser.open(folder / "alone.html")
        browser.wait_for(SHOWS)
        assert browser.said == []


@needs_chromium
def test_lines_are_turned_by_slider_keys_and_buttons(page):
    press(page, "inline")
    page.run("$('line').value = 12; $('line').dispatchEvent(new Event('input'))")
    page.wait_for(f"{SHOWS} === 'inline-12 amplitude'")
    assert page.run("$('line-name').textContent") == "Inline 112, labelled"
    # Amplitude, truth and prediction.
    assert page.run("$('section').childElementCount") == 3
    page.run("$('section').focus()")
    page.press("ArrowRight")
    page.wait_for(f"{SHOWS} === 'inline-13 amplitude'")
    assert page.run("$('line-name').textContent") == "Inline 113"
    assert page.run("$('section').childElementCount") == 2
    page.press("ArrowLeft")
    page.run("$('line-before').click()")
    page.wait_for(f"{SHOWS} === 'inline-11 amplitude'")
    assert page.run("$('line').value") == "11"
    page.run("$('line').focus()")
    page.press("ArrowRight")
    page.wait_for(f"{SHOWS} === 'inline-12 amplitude'")
    page.run("$('line').value = 23; $('line').dispatchEvent(new Event('input'))")
    page.wait_for("$('line-after').disabled")


@needs_chromium
def test_directions_and_layers_are_switched(page):
    press(page, "slice")
    press(page, "probability")
    page.wait_for(f"{SHOWS}.startsWith('slice-') && {SHOWS}.endsWith('probability')")
    assert page.run("$('line-name').textContent").startswith("Time 10")
    assert page.run("$('down-name').textContent + $('down-first').textContent") == "Inline123"
    assert page.run("document.querySelector('#map b').hidden")
    press(page, "crossline")
    press(page, "disagreement")
    page.wait_for(f"{SHOWS}.startsWith('crossline-') && {SHOWS}.endsWith('disagreement')")
    assert "Standard deviation" in page.run("$('shades').textContent")
    before = page.run("$('section').childElementCount")
    page.run("$('view-prediction').click()")
    page.wait_for(f"$('section').childElementCount === {before - 1}")
    page.run("$('view-prediction').click()")
    press(page, "amplitude")


@needs_chromium
def test_the_map_shows_where_the_line_is_and_leads_to_another(page):
    press(page, "inline")
    click = (
        "(() => {{ const box = $('map').getBoundingClientRect();"
        " $('map').dispatchEvent(new MouseEvent('click', {{ clientX: box.left + {} * box.width,"
        " clientY: box.top + {} * box.height }})) }})()"
    )
    page.run(click.format(0.5, 0.02))
    page.wait_for("$('line-name').textContent === 'Inline 123'")
    page.run(click.format(0.5, 0.98))
    page.wait_for("$('line-name').textContent === 'Inline 100'")
    line = "(() => { const [a, b] = [$('map'), document.querySelector('#map b')].map((each) =>"
    line += " each.getBoundingClientRect()); return (b.top - a.top) / a.height })()"
    assert page.run(line) > 0.97
    press(page, "crossline")
    page.run(click.format(0.0, 0.5))
    page.wait_for("$('line-name').textContent === 'Crossline 300'")
    for name, said in (("top", "ms"), ("thickness", "ms"), ("traces", "dead, 2")):
        page.run(
            f"$('map-name').value = '{name}'; $('map-name').dispatchEvent(new Event('change'))"
        )
        assert said in page.run("$('map-legend').innerText")


@needs_chromium
def test_the_section_shows_the_volume_s_own_pixels(page, made, tmp_path):
    press(page, "inline")
    press(page, "probability")
    page.run("$('line').value = 12; $('line').dispatchEvent(new Event('input'))")
    page.wait_for(f"{SHOWS} === 'inline-12 probability'")
    page.run("$('section').scrollIntoView()")
    box = page.run(
        "(() => { const box = $('section').getBoundingClientRect();"
        " return [box.left, box.top, box.right, box.bottom] })()"
    )
    page.picture(tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as picture:
        seen = picture.convert("L").crop([round(side) for side in box]).resize((30, 40))
    assert np.abs(np.asarray(seen, dtype=float) - 255 * made.probability[12].T).mean() < 14
    press(page, "amplitude")
