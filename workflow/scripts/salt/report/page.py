"""The report as one page that needs no server, and the images for its tile browser."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

from salt.core import checksums
from salt.core.errors import InputError
from salt.ensemble.predictions import Predictions, averaged
from salt.evaluation.review import REASONS, disagreement
from salt.evaluation.summary import honesty
from salt.report import palette, sprites, viewer
from salt.report.times import duration, read_times
from salt.survey.folds import coverage_class
from salt.survey.tiles import Tiles

# The page's templates are beside this file and share its name.
PARTS = Path(__file__)
DESCRIBED = ("title", "description")
# What the browser knows of test tiles where there are none.
NO_TEST = {"ids": "", "predicted": [], "class": [], "disagreement": [], "depth": []}
CHUNK = 128  # tiles at a time, a multiple of sprites.ROWS


def write_tiles(
    folder: Path,
    name: str,
    tiles: Tiles,
    ids: list[str],
    members: list[Predictions],
    threshold: float,
    labelled: bool,
) -> np.ndarray:
    """Write sheets of tiles in the order of ``ids``; return predicted coverage, float64 (ids).

    Tiles that no member predicted are drawn with a probability of 0.
    """
    rows = pd.Index(tiles.ids).get_indexer(pd.Index(ids))
    coverage = np.zeros(len(ids))
    # The mean over no members is NaN.
    with np.errstate(invalid="ignore"):
        for part, mean in averaged(members, ids, CHUNK):
            mean, here = np.nan_to_num(mean), rows[part]
            masks = tiles.masks[here] if labelled else None
            predicted = mean > threshold
            coverage[part] = predicted.mean((1, 2))
            sprites.write_sheets(
                folder, name, part.start, tiles.images[here], mean, predicted, masks
            )
    return coverage


def labelled_facts(review: pd.DataFrame) -> dict:
    """Return the tile browser's data for labelled tiles, in the order of the review."""
    scored = review["members"].to_numpy() > 0
    codes = ["", *REASONS]
    return {
        "ids": " ".join(review["id"]),
        # In tenths; -1 where no member predicted the tile.
        "score": whole(np.where(scored, 10 * review["score"].to_numpy(), -1)),
        "reason": [codes.index(code) if code in codes else 0 for code in review["reason"]],
        "iou": whole(1000 * review["iou"].to_numpy()),
        "coverage": whole(1000 * review["coverage"].to_numpy()),
        "predicted": whole(1000 * review["predicted_coverage"].to_numpy()),
        "class": coverage_class(review["coverage"]).tolist(),
        "disagreement": whole(1000 * review["disagreement"].to_numpy()),
        "depth": known(review["depth"]),
        "fold": review["fold"].tolist(),
    }


def test_facts(tiles: Tiles, coverage: np.ndarray, members: list[Predictions]) -> dict:
    """Return the tile browser's data for test tiles, in their original order."""
    return {
        "ids": " ".join(tiles.ids),
        "predicted": whole(1000 * coverage),
        "class": coverage_class(coverage).tolist(),
        "disagreement": whole(1000 * disagreement(members, tiles.ids)),
        "depth": known(tiles.table["depth"]),
    }


def whole(values: np.ndarray) -> list[int | None]:
    """Return rounded values, with None for NaN."""
    return [None if np.isnan(value) else round(value) for value in values.tolist()]


def known(values: pd.Series) -> list[float | None]:
    """Values, with None for NaN."""
    return [None if np.isnan(value) else value for value in values.tolist()]


def figure(path: Path | str) -> str:
    """Return the HTML of one of this project's SVG figures; raise InputError for other files."""
    try:
        text = checksums.read(path).decode()
    except checksums.DamagedError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error}); delete it to draw it again") from None
    found = [re.search(rf"<dc:{part}>(.*?)</dc:{part}>", text, re.DOTALL) for part in DESCRIBED]
    drawing = re.search(r"<svg.*</svg>", text, re.DOTALL)
    if not drawing or not all(found):
        raise InputError(
            f"{path}: expected a drawing with a title and a description; delete it to draw it again"
        )
    title, description = (match.group(1) for match in found)
    name = html.escape(Path(path).stem)
    caption = f'<h3>{title}</h3><p id="about-{name}">{description}</p>'
    if description.startswith("Not drawn"):
        return f'<figure id="{name}"><figcaption>{caption}</figcaption></figure>'
    svg = re.sub(r"<metadata>.*?</metadata>|<\?.*?\?>", "", drawing.group(), flags=re.DOTALL)
    # Group ids would repeat across figures.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(
        r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>",
        rf'<svg \1 xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        rf'aria-label="{title}" aria-describedby="about-{name}">',
        svg,
        count=1,
    )
    return f'<figure id="{name}"><figcaption>{caption}</figcaption>{svg}</figure>'


def headline(report: dict, test_tiles: int, with_salt: int, benchmarks: Path) -> str:
    """Return the HTML of the score, whether it is honest, and the key facts of the run."""
    times = read_times(benchmarks)
    spent = duration(times["seconds"].sum()) if len(times) else "not recorded"
    seeds = ", ".join(map(str, report["seeds"]))
    said = honesty(report["honest"], report["tuned_on"])
    said = f"mean score of {report['tiles_scored']} labelled tiles; {said}"
    facts = {
        "Threshold": f"{report['threshold']:.4f}, tuned for each fold on {report['tuned_on']}",
        "Members": f"{len(report['seeds'])} (seeds {seeds})",
        "Labelled tiles": f"{report['tiles']}, of which {report['tiles_scored']} are scored",
        "Test tiles": f"{test_tiles}, of which {with_salt} are predicted to contain salt"
        if test_tiles
        else "none",
        "All-empty score": f"{report['score_all_empty']:.4f} for a submission without any salt",
        "Computing time": f"{spent}, summed over all jobs, each since its last start or resume",
    }
    rows = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>"
        for name, text in facts.items()
    )
    kind = "honest" if report["honest"] else "dishonest"
    return (
        f'<p class="score"><strong>{report["score"]:.4f}</strong> '
        f'<span class="{kind}">{html.escape(said)}</span></p><dl>{rows}</dl>'
    )


def write_page(path: Path, head: str, figures: list[str], facts: dict) -> None:
    """Write the page from its headline, figures and tile browser data.

    With the facts of a volume, ``facts["volume"]``, it has a viewer.
    """
    parts = {kind: PARTS.with_suffix(f".{kind}").read_text() for kind in ("html", "css", "js")}
    if "volume" in facts:
        added = {kind: viewer.template(kind) for kind in parts}
    else:
        added = dict.fromkeys(parts, "")
    colours = {"truth": palette.TRUTH, "prediction": palette.PREDICTION, "error": palette.ERROR}
    filled = {
        "STYLE": ":root{"
        + "".join(f"--{name}:{value};" for name, value in colours.items())
        + "}\n"
        + parts["css"]
        + added["css"],
        "LINKS": '<a href="#volume">Volume</a> ' if "volume" in facts else "",
        "VIEWER": added["html"],
        "SUBMISSION": ""
        if facts["test"] == NO_TEST
        else '<a href="submission.csv">submission.csv</a> ',
        "HEADLINE": head,
        "FIGURES": "\n".join(figures),
        # Escape "<", so that no text can close the script element.
        "FACTS": json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c"),
        "SCRIPT": parts["js"] + added["js"],
    }
    text = re.sub(r"<!-- ([A-Z]+) -->", lambda match: filled[match.group(1)], parts["html"])
    path.write_text(text)
