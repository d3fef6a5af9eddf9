"""The report as one page that needs no server, and the images for its tile browser."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from saltseg.core.errors import InputError
from saltseg.ensemble.predictions import Predictions, mean_probabilities
from saltseg.evaluation.review import REASONS, disagreement
from saltseg.evaluation.summary import describe_weights, honesty, origin
from saltseg.evaluation.volume_summary import VolumeResults, format_score, name_lines
from saltseg.report import palette, sprites, viewer
from saltseg.report.times import duration, read_times
from saltseg.survey.folds import coverage_class
from saltseg.survey.tiles import Tiles

OUTPUTS = ("mask.sgy", "probability.sgy", "top_salt.csv", "base_salt.csv", "next_lines.csv")
DESCRIBED = ("title", "description")
# What the browser knows of test tiles where there are none.
NO_TEST = {"ids": "", "predicted": [], "class": [], "disagreement": [], "depth": []}
CHUNK = 128  # tiles at a time, a multiple of sprites.ROWS


def write_tiles(
    stem: Path,
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
        for part, mean in mean_probabilities(members, ids, CHUNK):
            mean, here = np.nan_to_num(mean), rows[part]
            masks = tiles.masks[here] if labelled else None
            predicted = mean > threshold
            coverage[part] = predicted.mean((1, 2))
            sprites.write_sheets(stem, part.start, tiles.images[here], mean, predicted, masks)
    return coverage


def labelled_facts(review: pd.DataFrame) -> dict:
    """Return the tile browser's data for labelled tiles, in the order of the review."""
    scored = review["members"].to_numpy() > 0
    codes = ["", *REASONS]
    return {
        "ids": " ".join(review["id"]),
        # In tenths; -1 where no member predicted the tile.
        "score": round_values(np.where(scored, 10 * review["score"].to_numpy(), -1)),
        "reason": [codes.index(code) if code in codes else 0 for code in review["reason"]],
        "iou": round_values(1000 * review["iou"].to_numpy()),
        "coverage": round_values(1000 * review["coverage"].to_numpy()),
        "predicted": round_values(1000 * review["predicted_coverage"].to_numpy()),
        "class": coverage_class(review["coverage"]).tolist(),
        "disagreement": round_values(1000 * review["disagreement"].to_numpy()),
        "depth": without_nan(review["depth"]),
        "fold": review["fold"].tolist(),
    }


def unlabelled_facts(tiles: Tiles, coverage: np.ndarray, members: list[Predictions]) -> dict:
    """Return the tile browser's data for test tiles, in their original order."""
    return {
        "ids": " ".join(tiles.ids),
        "predicted": round_values(1000 * coverage),
        "class": coverage_class(coverage).tolist(),
        "disagreement": round_values(1000 * disagreement(members, tiles.ids)),
        "depth": without_nan(tiles.table["depth"]),
    }


def round_values(values: np.ndarray) -> list[int | None]:
    """Return rounded values, with None for NaN."""
    return [None if np.isnan(value) else round(value) for value in values.tolist()]


def without_nan(values: pd.Series) -> list[float | None]:
    """Values, with None for NaN."""
    return [None if np.isnan(value) else value for value in values.tolist()]


@dataclass(frozen=True)
class Figure:
    """A drawing of the page.

    name: id of its element
    title, description: HTML
    size: the drawing's viewBox
    drawing: HTML of the elements in it; empty for a figure that says why it was not drawn
    """

    name: str
    title: str
    description: str
    size: str = ""
    drawing: str = ""


def read_figure(path: Path | str) -> Figure:
    """Read one of this project's SVG figures; raise InputError for other files."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable ({error}); delete it to draw it again") from None
    found = [re.search(rf"<dc:{part}>(.*?)</dc:{part}>", text, re.DOTALL) for part in DESCRIBED]
    drawing = re.search(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>(.*)</svg>', text, re.DOTALL)
    if not drawing or not all(found):
        raise InputError(
            f"{path}: expected a drawing with a title and a description; delete it to draw it again"
        )
    title, description = (match.group(1) for match in found if match)
    if description.startswith("Not drawn"):
        return Figure(Path(path).stem, title, description)
    svg = re.sub(r"<metadata>.*?</metadata>|<\?.*?\?>", "", drawing.group(2), flags=re.DOTALL)
    # Group ids would repeat across figures.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return Figure(Path(path).stem, title, description, drawing.group(1), svg)


def headline(report: dict, test_tiles: int, with_salt: int, benchmarks: Sequence[Path]) -> dict:
    """Return the page's headline: the score, whether it is honest, and the run's key facts."""
    said = honesty(report)
    facts = {
        "Threshold": f"{report['threshold']:.4f}, {origin(report['tuned_on'])}",
        "Members": name_members(report["members"]),
        "Labelled tiles": f"{report['tiles']}, of which {report['tiles_scored']} are scored",
        "Test tiles": f"{test_tiles}, of which {with_salt} are predicted to contain salt"
        if test_tiles
        else "none",
        "All-empty score": f"{report['score_all_empty']:.4f} for a submission without any salt",
        "Computing time": sum_times(benchmarks),
    }
    return {
        "score": f"{report['score']:.4f}",
        "honest": report["honest"],
        "said": f"mean score of {report['tiles_scored']} labelled tiles; {said}",
        "facts": facts,
    }


def volume_headline(
    found: VolumeResults, members: dict[str, int], benchmarks: Sequence[Path]
) -> dict:
    """Return the headline of a volume's page: what to expect of it, and how that is known."""
    facts = {
        found.kind.capitalize(): found.held_out,
        "Interpolation of the labels": found.baseline,
        **({"Further surveys": "; ".join(found.further)} if found.further else {}),
        "Labels to look at": ", ".join(found.suspect) or "none",
        "Lines to label next": found.following,
        "Salt": found.salt,
        "Members": name_members(members),
        "Computing time": sum_times(benchmarks),
    }
    return {
        "score": found.expected,
        "honest": found.scores["honest"],
        "said": f"IoU {found.meaning}",
        "facts": facts,
        # Of 2-D lines, each has a page of its own.
        "files": ["volume/lines.csv", "review.csv"] if found.of_lines else [],
    }


def line_rows(found: VolumeResults) -> list[dict]:
    """Return a row of texts for each held-out line, and each 2-D line without a label."""
    rows = found.lines.astype(object).where(found.lines.notna(), None).to_dict("records")
    return [
        {
            "line": name,
            # A 2-D line has a page of its own.
            "page": f"volume/{name}/index.html" if found.of_lines else None,
            "iou": format_score(row["iou"]),
            "interpolation": format_score(row["interpolation_iou"]),
            "members": format_score(row["members_iou"]),
            "top": format_score(row["top_distance"], 1),
            "note": row["note"] or "",
        }
        for name, row in zip(name_lines(found.lines), rows, strict=True)
    ] + [
        {
            "line": name,
            "page": f"volume/{name}/index.html",
            **dict.fromkeys(("iou", "interpolation", "members", "top"), ""),
            "note": f"not labelled; IoU to expect {expected}",
        }
        for name, expected in found.unlabelled.items()
    ]


def name_members(members: dict[str, int]) -> str:
    """Return how many members there are, their names and, if they differ, weights of kinds."""
    weights = describe_weights(members)
    return f"{len(members)} ({', '.join(members)})" + (f"; weights {weights}" if weights else "")


def sum_times(benchmarks: Sequence[Path]) -> str:
    """Return the time that all jobs took together."""
    times = read_times(*benchmarks)
    spent = duration(times["seconds"].sum()) if len(times) else "not recorded"
    return f"{spent}, summed over all jobs, each since its last start or resume"


def write_page(
    path: Path,
    head: dict | None,
    figures: list[Figure],
    facts: dict,
    record: str = "",
    lines: Sequence[dict] = (),
) -> None:
    """Write the page from its headline, if any, figures, data of its parts and record of the run.

    With the facts of a volume, ``facts["volume"]``, it has a viewer; with those of ``"test"``
    tiles, which may be none, the browser of tiles; with ``line_rows`` a table of held-out lines.
    The headline may have a title, notices, and files to link to.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    # A module's parts are beside it, and share its name.
    parts = {"test": sprites.__file__, "volume": viewer.__file__}
    modules = [__file__, *(module for part, module in parts.items() if part in facts)]
    style, code = (
        "".join(file.read_text() for file in _beside(modules, kind) if file.exists())
        for kind in ("css", "js")
    )
    said = head or {}
    text = environment.get_template("page.html").render(
        colours={"truth": palette.TRUTH, "prediction": palette.PREDICTION, "error": palette.ERROR},
        style=style,
        volume="volume" in facts,
        tiles="test" in facts,
        title=said.get("title", "Salt masks: results"),
        notices=said.get("notices", []),
        files=said.get("files") or _files(facts, lines),
        lines=lines,
        head=head,
        figures=figures,
        record=record,
        # Escape "<", so that no text can close the script element.
        facts=json.dumps(facts, separators=(",", ":")).replace("<", "\\u003c"),
        code=code,
    )
    path.write_text(text, encoding="utf-8")


def _beside(modules: list[str], kind: str) -> list[Path]:
    return [Path(module).with_suffix(f".{kind}") for module in modules]


def _files(facts: dict, lines: Sequence[dict]) -> list[str]:
    """Return the files of a run that its page links to."""
    if lines:
        return [*(f"volume/{name}" for name in OUTPUTS), "review.csv"]
    submission = ["submission.csv"] * (facts.get("test", NO_TEST) != NO_TEST)
    return [*submission, "threshold.json", "review.csv"]
