"""A volume's summary says of lines what they were to the members, and counts lines, not pieces."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from saltseg.evaluation.volume_summary import VolumeResults, summarise
from saltseg.report.page import line_rows, volume_headline, write_page


def results_of(honest, pieces):
    scored = {"iou": 0.5, "dice": 0.6, "top_distance": 1.25}
    rows = [
        {"plane": "inline", "line": 7, "note": "", "interpolation_iou": None, "members_iou": 0.5}
        | scored
        for _ in range(pieces)
    ]
    own, theirs = {"iou": 0.5}, {"iou": None}
    scores = scored | {"honest": honest, "lines": pieces, "compared": own, "interpolation": theirs}
    facts = {"expected_iou": None, "bodies": 1, "salt_share": 0.25, "threshold": 0.5}
    following = pd.DataFrame({"plane": ["inline"], "line": [9]})
    return VolumeResults(
        scores, pd.DataFrame(rows), {"volume": facts | {"labelled": True}}, following
    )


@pytest.mark.parametrize(
    ("honest", "pieces", "said"),
    [
        (True, 2, "on 2 pieces of 1 line held out"),
        (False, 1, "on 1 line that members trained on (NOT honest)"),
    ],
)
def test_nothing_is_held_out_with_full_and_pieces_are_no_lines(tmp_path, honest, pieces, said):
    found = results_of(honest, pieces)
    text = summarise(found, {"0": 1}, Path("results"))
    head = volume_headline(found, {"0": 1}, [tmp_path])
    write_page(tmp_path / "index.html", head, [], {}, lines=line_rows(found))
    page = (tmp_path / "index.html").read_text()
    assert said in text and said in page
    for each in (text, page):
        assert ("held-out lines" in each.lower()) == honest
        assert ("lines trained on" in each.lower()) != honest
    assert "Held out" not in text or honest


def test_further_surveys_and_2d_lines_are_scored_by_name(tmp_path):
    surveys = pd.DataFrame(
        {"survey": ["north", "south"], "lines": [4, 0], "of_lines": [4, 1]}
        | {"iou": [0.5, None], "dice": [0.667, None]}
    )
    counts = [(30, 100, 0, 0, 0), (20, 100, 0, 0, 0), (10, 200, 10, 8, 6), (10, 100, 10, 4, 4)]
    names = ("salt", "samples", "marked", "inside", "outside")
    filled = {
        f"L{k}": {"counts": dict(zip(names, each, strict=True)), "labelled": k < 3, "bodies": k}
        | {"expected_iou": each[3] / 16, "threshold": 0.5}
        for k, each in enumerate(counts, 1)
    }
    found = replace(results_of(True, 2), surveys=surveys, filled=filled)
    found = replace(found, next=pd.DataFrame({"file": ["L4", "L3"]}))
    found.lines["file"] = ["L1", "L2"]
    text = summarise(found, {"0": 1}, Path("results"))
    assert "Label next  L4, L3; more in results/volume/next_lines.csv\n" in text
    # (8 + 4) / (20 + 10), of the lines without a label.
    assert "IoU         0.400 to expect of unlabelled lines, by their probabilities\n" in text
    assert "Salt        14.0%, in 10 bodies; probabilities above 0.50; line by line in" in text
    rows = {row["line"]: (row["page"], row["note"]) for row in line_rows(found)}
    assert rows["L3"] == ("volume/L3/index.html", "not labelled; IoU to expect 0.500")
    found.scores["iou"] = 0.3
    said = "0.30 to 0.40 to expect of unlabelled lines, by those held out, and by"
    assert said in summarise(found, {"0": 1}, Path("results"))

    found = replace(results_of(True, 2), surveys=surveys, filled=dict(list(filled.items())[:2]))
    found.lines["file"] = ["L1", "L2"]
    text = summarise(found, {"0": 1}, Path("results"))
    assert "Survey      north IoU 0.500, Dice 0.667, on 4 of its 4 lines or pieces, held" in text
    assert "Survey      south not scored, since its only labelled line is trained on" in text
    assert "IoU         0.500 on held-out lines" in text and "on 2 lines held out" in text
    head = volume_headline(found, {"0": 1}, [tmp_path])
    assert [row["line"] for row in line_rows(found)] == ["L1", "L2"]
    write_page(tmp_path / "index.html", head, [], {}, lines=line_rows(found))
    page = (tmp_path / "index.html").read_text()
    assert '<a href="volume/L1/index.html">L1</a>' in page
    assert "north IoU 0.500" in page and "volume/mask.sgy" not in page


@pytest.mark.parametrize(
    ("honest", "interpolation", "promised", "said"),
    [
        (True, None, 0.75, "0.50 to 0.75 to expect of unlabelled lines, by the few held out"),
        (True, None, 0.4, "0.400 to expect of unlabelled lines, by their probabilities"),
        (True, 0.45, 0.75, "0.750 to expect of unlabelled lines, by their probabilities"),
        (
            False,
            None,
            0.75,
            "0.750 to expect of unlabelled lines, by their probabilities, which no",
        ),
    ],
)
def test_few_lines_promise_a_range(honest, interpolation, promised, said):
    found = results_of(honest, 2)
    found.scores["interpolation"]["iou"] = interpolation
    found.facts["expected_iou"] = promised
    assert f"IoU         {said}" in summarise(found, {"0": 1}, Path("results"))
