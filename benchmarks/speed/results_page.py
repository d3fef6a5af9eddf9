"""Write RESULTS.md from the measurements: ratios first, then medians with minimum and maximum."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

CONFIG = Path(__file__).parents[2] / "config"
CONTEST_TILES = 2560  # of the 3,200 labelled, without a fold of five

# Kinds of processors, which differ in what is fast on them.
KINDS = {"avx2": "AVX2", "bf16": "AVX-512 with bf16", "gpu": "GPU"}
NAMES = {"ours": "ours", "usual": "usual PyTorch", "keras_unet": "Keras"}


def rates(repeats: list[dict]) -> np.ndarray:
    """Return the tiles per second of each repeat."""
    return np.array([repeat["tiles"] / repeat["seconds"] for repeat in repeats])


def seconds(repeats: list[dict]) -> np.ndarray:
    return np.array([repeat["seconds"] for repeat in repeats])


def faster(ours: list[dict], other: list[dict]) -> np.ndarray:
    """Return the speed-up of ours over the other, repeat by repeat."""
    return rates(ours) / rates(other)


def spread(values, form: str = ".3g") -> str:
    """Format the median, with minimum and maximum."""
    middle, least, most = (number(of(values), form) for of in (np.median, np.min, np.max))
    return f"{middle} ({least} to {most})"


def number(value: float, form: str = ".3g") -> str:
    """Format a number to three digits, never with an exponent."""
    return f"{value:,.0f}" if form == ".3g" and value >= 100 else f"{value:{form}}"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]] + [""]


def exponent(repeats: dict[str, list[dict]], key: str) -> float:
    """Return the slope of the medians on a log-log scale."""
    sizes = [float(size) for size in repeats]
    medians = [np.median([repeat[key] for repeat in runs]) for runs in repeats.values()]
    return float(np.polyfit(np.log(sizes), np.log(medians), 1)[0])


def peak(repeats: list[dict]) -> float:
    return max(repeat["peak_mb"] for repeat in repeats)


def aims(kinds: dict[str, dict]) -> list[str]:
    """Return a table of aims, and what each kind of processor reached."""
    rows = []
    for what, sign, bounds, unit, reached in AIMS:
        cells = []
        for kind, bound in zip(KINDS, bounds, strict=True):
            found = _reached(reached, kinds.get(kind, {}))
            aim = None if bound is None else f"{sign} {number(bound)}{unit}"
            if found is None or aim is None:
                cells.append(f"{aim}: not measured" if aim else "")
                continue
            met = found >= bound if sign == "at least" else found <= bound
            cells.append(f"{aim}: {number(found)}{unit}, {'met' if met else '**not met**'}")
        rows.append([what, *cells])
    return table(["what", *KINDS.values()], rows)


def _reached(reached: Callable[[dict], float] | None, measured: dict) -> float | None:
    """Return what was reached, or None if a part that it needs was not measured."""
    if reached is None:
        return None
    try:
        return float(reached(measured))
    except KeyError:
        return None


def _ratio(part: str, at: str, other: str) -> Callable[[dict], float]:
    return lambda m: np.median(faster(m[part][at]["ours"], m[part][at][other]))


def _by_runtime(network: str, other: str) -> Callable[[dict], float]:
    return lambda m: np.median(
        faster(m["runtimes"][network]["project"], m["runtimes"][network][other])
    )


def _plain(part: str) -> Callable[[dict], float]:
    return lambda m: np.median(faster(m["plain"][part]["ours"], m["plain"][part]["usual"]))


def _peaks(m: dict) -> list[float]:
    return [peak(runs) for runs in m["submission"].values()]


def _matrix_share(m: dict) -> float:
    runs = m["roofline"]
    matrix = np.median([r["gflop_per_s"] for r in runs["machine"]])
    return 100 * np.median(rates(runs["ours"])) * runs["counted"][-1]["gflop"] / matrix


def _best_on_a_gpu(m: dict) -> dict[str, list[dict]]:
    return m["gpu"]["training"][str(m["gpu"]["best"])]


RESIDUAL, LITE2 = "residual U-Net", "EfficientNet-Lite2 U-Net"
BEST, TIMES = ("at best", "best batch of each"), " times"
# What, at least or at most, the bound for each of KINDS, its unit, and how it is read from what was
# measured; None where `make bench` does not measure it.
AIMS = [
    *(
        (f"training against the usual PyTorch way, {how}", "at least", (1.25, 2.5, None), TIMES,
         _ratio("training", at, "usual"))
        for at, how in (("at 32", "batch 32"), BEST)
    ),
    *(
        (f"training against Keras, {how}", "at least", (1.6, 2.2, None), TIMES,
         _ratio("training", at, "keras_unet"))
        for at, how in (("at 32", "batch 32"), BEST)
    ),
    ("training of the Lite2 U-Net against the same layers in eager PyTorch", "at least",
     (1.5, 2.5, None), TIMES,
     lambda m: np.median(faster(m["training_lite2"]["ours"], m["training_lite2"]["usual"]))),
    *(
        (f"prediction against Keras, {how}", "at least", (2, 3, None), TIMES,
         _ratio("prediction", at, "keras_unet"))
        for at, how in (("at 32", "batch 32"), BEST)
    ),
    *(
        (f"prediction against eager PyTorch, {name}", "at least", (*bounds, None), TIMES,
         _by_runtime(name, "eager"))
        for name, bounds in ((RESIDUAL, (1.3, 2.5)), (LITE2, (2, 3.5)))
    ),
    *(
        (f"prediction against OpenVINO used directly, {name}", "at least", (0.95, 0.95, None),
         TIMES, _by_runtime(name, "openvino"))
        for name in (RESIDUAL, LITE2)
    ),
    ("share of the machine's matrix rate in a training step", "at least", (80, 75, None), " %",
     _matrix_share),
    ("share of a volume's prediction that is in the network: see [volumes.md](volumes.md)",
     "at least", (85, 85, None), " %", None),
    ("import", "at least", (1500, 1500, 1500), " tiles/s",
     lambda m: np.median(rates(m["plain"]["import"]["ours"]))),
    ("threshold against a grid of 60", "at least", (5, 5, 5), TIMES, _plain("threshold")),
    ("threshold's score less the grid's", "at least", (0, 0, 0), "",
     lambda m: m["plain"]["threshold"]["ours"][0]["score"]
     - m["plain"]["threshold"]["usual"][0]["score"]),
    ("encoding against a loop over pixels", "at least", (10, 10, 10), TIMES, _plain("encoding")),
    ("share of a training step for data and augmentation", "at most", (2, 2, 2), " %",
     lambda m: 100 * np.median([r["training"] for r in m["shares"]["ours"]])),
    ("peak memory of a submission of 20 members", "at most", (600, 600, 600), " MB",
     lambda m: _peaks(m)[-1]),
    ("and of one member's", "at most", (1.2, 1.2, 1.2), TIMES,
     lambda m: _peaks(m)[-1] / _peaks(m)[0]),
    ("engine on the demo beyond its jobs", "at most", (10, 10, 10), " s",
     lambda m: np.median(np.subtract(m["engine"]["whole"], m["engine"]["jobs"]))),
    ("run with nothing to do", "at most", (3, 3, 3), " s",
     lambda m: np.median(m["engine"]["nothing"])),
    ("the tiny workflow: 48 tiles, one epoch, 20 jobs", "at most", (20, 12, None), " s",
     lambda m: np.median(m["engine"]["tiny"])),
    ("training of the residual U-Net at width 16", "at least", (None, None, 10_000), " tiles/s",
     lambda m: np.median(rates(_best_on_a_gpu(m)["ours"]))),
    ("the same against the usual PyTorch way, best batch of ours", "at least", (None, None, 10),
     TIMES, lambda m: np.median(faster(*_best_on_a_gpu(m).values()))),
]  # fmt: skip


def runtimes(runs: dict) -> list[str]:
    """Return tables of prediction by runtimes, by network."""
    others = {
        "eager": "eager PyTorch, fp32",
        "openvino": "OpenVINO directly",
        "onnx_runtime": "ONNX Runtime directly",
    }
    return [
        *table(
            ["network", *(f"over {name}" for name in others.values())],
            [
                [network, *(spread(faster(by["project"], by[each]), ".2f") for each in others)]
                for network, by in runs.items()
            ],
        ),
        *table(
            ["tiles/s", "ours", *others.values()],
            [
                [network, *(spread(rates(by[each])) for each in ("project", *others))]
                for network, by in runs.items()
            ],
        ),
        "Width 16, 128 tiles of 101x101 pixels in batches of 32, averaged over the flip and",
        "written to disk. *Directly* means: the member as `snakemake export` writes it, with the",
        "runtime's own defaults, which for OpenVINO are bf16 where the processor has it.",
        "",
    ]


def three_ways(what: str, runs: dict) -> tuple[list[list[str]], list[list[str]]]:
    """Return rows of ratios and rows of speeds."""
    ratios, speeds = [], []
    for at, batches in (("at 32", dict.fromkeys(NAMES, 32)), ("at best", runs["best"])):
        found = runs[at]
        ratios.append(
            [
                f"{what}, {'batch 32' if at == 'at 32' else 'best batch of each'}",
                *(spread(faster(found["ours"], found[name]), ".2f") for name in list(NAMES)[1:]),
            ]
        )
        speeds.append(
            [
                what,
                *(f"{spread(rates(found[name]))} at {batches[name]}" for name in NAMES),
            ]
        )
    return ratios, speeds


def page(kinds: dict[str, dict]) -> str:
    """Return the page of what was measured on each kind of processor, by ``KINDS``."""
    machines = [
        [KINDS[kind], machine_of(measured["machine"])]
        for kind, measured in sorted(kinds.items(), key=lambda item: list(KINDS).index(item[0]))
    ]
    lines = [
        "# Speed",
        "",
        "Made by `make bench`, which measures the kind of processor that it runs on and leaves",
        "the others as they are. [NOTES.md](NOTES.md) lists the optimisations that were tried and",
        "their effects, and says what limits training on each kind of processor.",
        "",
        *table(["processor", "measured on"], machines),
        "Each figure is the median of five repeats, with minimum and maximum. Contestants take",
        "turns, one repeat each, and ratios compare neighbouring repeats.",
        "",
        "## Aims",
        "",
        *aims(kinds),
    ]
    for kind in KINDS:
        if kind in kinds:
            lines += [f"## {KINDS[kind]}", "", *sections(kinds[kind])]
    return "\n".join(lines)


def machine_of(machine: dict) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    gpu = f"{machine['gpu']}; " if machine["gpu"] else ""
    return f"{machine['date']}: {machine['hardware']}; {gpu}{versions}"


def sections(measured: dict) -> list[str]:
    """Return the parts that were measured on a machine, each with its heading."""
    lines = []
    for needs, heading, section in (
        (("training", "prediction", "shares"), "Speed-up over common implementations", speed_ups),
        (("training_lite2",), "Training of the EfficientNet-Lite2 U-Net", lite2),
        (("runtimes",), "Prediction by runtimes", lambda m: runtimes(m["runtimes"])),
        (("plain", "submission"), "Import, threshold, encoding, averaging", simple),
        (("scaling",), "Scaling", scaling),
        (("roofline",), "Roofline of a training step", lambda m: roofline(m["roofline"])),
        (("engine",), "The engine", engine),
        (("gpu",), "Training and prediction on a GPU", lambda m: gpu(m["gpu"])),
    ):
        if all(part in measured for part in needs):
            lines += [f"### {heading}", "", *section(measured)]
    return lines


def speed_ups(measured: dict) -> list[str]:
    train, train_speeds = three_ways("training", measured["training"])
    predict, predict_speeds = three_ways("prediction", measured["prediction"])
    shares = measured["shares"]["ours"]
    return [
        *table(["ours", "over usual PyTorch", "over Keras"], train + predict),
        "The network is the residual U-Net at width 16 on 128 tiles of 101x101 pixels, all cores.",
        "*Ours* trains in bf16 if the CPU supports it, with flips, rotation, shifts and zoom.",
        "*Usual PyTorch* is the same network with PyTorch's own layers in fp32, fed by a",
        "DataLoader with a worker per core, with the same augmentation per tile by Albumentations.",
        "*Keras* is the same network on TensorFlow in fp32, fed from arrays in memory, without",
        "augmentation. Predictions are averaged over the flip and written to disk.",
        "",
        *table(["tiles/s", *NAMES.values()], train_speeds + predict_speeds),
        "Share of the time at batch 32 spent outside forward, loss, backward and optimiser:",
        f"training {spread([100 * r['training'] for r in shares], '.2f')} %,",
        f"validation {spread([100 * r['validation'] for r in shares], '.2f')} %.",
        "",
    ]


def lite2(measured: dict) -> list[str]:
    runs = measured["training_lite2"]
    return [
        f"Ours over usual PyTorch: {spread(faster(runs['ours'], runs['usual']), '.2f')} times;",
        f"{spread(rates(runs['ours']))} against {spread(rates(runs['usual']))} tiles/s,",
        "at width 16 and batch 32.",
        "",
    ]


def simple(measured: dict) -> list[str]:
    plain = measured["plain"]
    return [
        *table(
            ["", "times as fast", "ours, tiles/s", "plain, tiles/s", "plain version"],
            [
                [
                    what,
                    spread(faster(plain[key]["ours"], plain[key]["usual"])),
                    spread(rates(plain[key]["ours"])),
                    spread(rates(plain[key]["usual"])),
                    how,
                ]
                for key, what, how in (
                    ("import", "import of 22,000 PNG tiles", "one file after another, unchecked"),
                    (
                        "threshold",
                        "threshold of 4 members, 4,000 tiles",
                        "grid of 3 x 20 evaluations",
                    ),
                    ("encoding", "encoding of 500 masks", "loop over pixels"),
                    (
                        "submission",
                        "submission of 4 members, 4,000 tiles",
                        "all in memory, loop over pixels",
                    ),
                )
            ],
        ),
        f"The exact threshold scores {plain['threshold']['ours'][0]['score']:.6f}, the grid's "
        f"{plain['threshold']['usual'][0]['score']:.6f}.",
        "",
        "A submission of 18,000 tiles, averaged, thresholded, encoded, written and read back:",
        "",
        *table(
            ["members", "seconds", "peak memory, MB"],
            [
                [name, spread(seconds(runs)), number(peak(runs))]
                for name, runs in measured["submission"].items()
            ],
        ),
    ]


def scaling(measured: dict) -> list[str]:
    return [
        "Exponents are slopes on a log-log scale: 1 is linear, 0 constant. A slope between them",
        "means that a constant part still matters.",
        "",
        *table(
            ["what", "sizes", "seconds", "exponent", "peak memory, MB", "exponent"],
            [
                [
                    what,
                    ", ".join(f"{int(size):,}" for size in runs),
                    ", ".join(number(np.median(seconds(r))) for r in runs.values()),
                    f"{exponent(runs, 'seconds'):.2f}",
                    ", ".join(number(peak(r)) for r in runs.values()),
                    f"{exponent(runs, 'peak_mb'):.2f}",
                ]
                for what, runs in measured["scaling"].items()
            ],
        ),
    ]


def engine(measured: dict) -> list[str]:
    engine = measured["engine"]
    return [
        "The demo with one epoch, one job at a time: overhead of",
        f"{spread(np.subtract(engine['whole'], engine['jobs']))} s beyond the",
        f"{spread(engine['jobs'])} s of its {engine['number']} jobs.",
        f"A run with nothing to do: {spread(engine['nothing'])} s.",
        "The tiny workflow, 48 tiles and one epoch, on all cores:",
        f"{spread(engine['tiny'])} s.",
        "",
    ]


def gpu(measured: dict) -> list[str]:
    contest = measured["contest"]
    early, (usual_way, *_) = contest["early"], measured["ways"]
    settings = yaml.safe_load((CONFIG / "contest.yaml").read_text())["training"]
    late_epochs = settings["epochs"] - settings["late_from"] + 1
    epochs = {"early": settings["epochs"] - late_epochs, usual_way: late_epochs}
    hours = CONTEST_TILES * sum(
        count / np.median(rates(contest[name])) / 3600 for name, count in epochs.items()
    )
    compared = [
        (f"training, batch {batch}", found) for batch, found in measured["training"].items()
    ]
    compared.append((f"prediction, batch {measured['best']}", measured["prediction"]))
    return [
        *table(
            ["residual U-Net, width 16", "ours, tiles/s", "usual PyTorch, tiles/s", "ratio"],
            [
                [
                    what,
                    *(spread(rates(found[name])) for name in ("ours", "usual")),
                    spread(faster(found["ours"], found["usual"])),
                ]
                for what, found in compared
            ],
        ),
        *table(
            ["training steps", f"residual U-Net, batch {measured['best']}", "contest.yaml"],
            [
                [way, spread(rates(runs)), spread(rates(contest[way]))]
                for way, runs in measured["ways"].items()
            ],
        ),
        "In tiles/s. *Not deterministic* is `compute.deterministic: false`, *compiled* is",
        "`training.compile: true`; no key has CUDA graphs. contest.yaml is measured with its late",
        f"loss; with the early one, as configured, it trains {spread(rates(early))} tiles/s.",
        f"A member of contest.yaml, {settings['epochs']}",
        f"epochs of {CONTEST_TILES:,} tiles, trains for {hours:.1f} hours.",
        "",
    ]


def roofline(runs: dict) -> list[str]:
    counted, machine = runs["counted"][-1], runs["machine"]
    matrix = np.median([r["gflop_per_s"] for r in machine])
    copy = np.median([r["gb_per_s"] for r in machine])
    speed = np.median(rates(runs["ours"]))
    arithmetic, transfer = counted["gflop"] / matrix, counted["mb"] / 1e3 / copy
    limits = [
        (
            "arithmetic of matrix products and convolutions",
            f"{counted['gflop']:.2f} GFLOP",
            f"{matrix:.0f} GFLOP/s",
            arithmetic,
        ),
        (
            "bytes that operations read and write",
            f"{counted['mb']:.0f} MB",
            f"{copy:.1f} GB/s",
            transfer,
        ),
        ("both in sequence", "", "", arithmetic + transfer),
    ]
    return [
        *table(
            ["per tile, at batch 32", "counted", "machine's rate", "limit", "reached"],
            [
                [what, count, rate, f"{1 / time:.0f} tiles/s", f"{100 * speed * time:.0f} %"]
                for what, count, rate, time in limits
            ],
        ),
        f"Training reaches {speed:.1f} tiles/s. Bytes are counted per operation, as if no cache",
        "kept the previous one's output. The rates are measured on a 2048x2048 matrix product in",
        "the precision of training, and on a copy of 256 MiB.",
        "",
    ]
