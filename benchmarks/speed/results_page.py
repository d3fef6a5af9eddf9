"""Write RESULTS.md from the measurements: ratios first, then medians with minimum and maximum."""

import numpy as np

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


def aims(measured: dict) -> list[str]:
    """Return a table of aims, measurements, and the margin by which each is met or missed."""
    train, predict, plain = (measured[part] for part in ("training", "prediction", "plain"))
    outside = [r["training"] for r in measured["shares"]["ours"]]
    tuned, grid = (plain["threshold"][name] for name in ("ours", "usual"))
    engine, many = measured["engine"], measured["submission"]
    beyond = np.median(np.subtract(engine["whole"], engine["jobs"]))
    first, *_, last = (peak(runs) for runs in many.values())
    at_least = [
        (
            f"training as fast as the usual way, batch {batch}",
            1.8,
            np.median(faster(train[at]["ours"], train[at]["usual"])),
            " times",
        )
        for at, batch in (("at 32", "32"), ("at best", "best of each"))
    ]
    for what, runs in (("training", train), ("prediction", predict)):
        for at, batch in (("at 32", "32"), ("at best", "best of each")):
            ratio = np.median(faster(runs[at]["ours"], runs[at]["keras_unet"]))
            at_least.append((f"{what} as fast as Keras, batch {batch}", 1.5, ratio, " times"))
    at_least += [
        ("import", 1500, np.median(rates(plain["import"]["ours"])), " tiles/s"),
        ("threshold as fast as a grid of 60", 5, np.median(faster(tuned, grid)), " times"),
        ("threshold's score less the grid's", 0, tuned[0]["score"] - grid[0]["score"], ""),
        (
            "encoding as fast as a loop over pixels",
            10,
            np.median(faster(*(plain["encoding"][name] for name in ("ours", "usual")))),
            " times",
        ),
    ]
    most = [
        ("share of a training step for data and augmentation", 2, 100 * np.median(outside), " %"),
        ("peak memory of a submission of 20 members", 600, last, " MB"),
        ("and of one member's", 1.2, last / first, " times"),
        ("engine on the demo beyond its jobs", 10, beyond, " s"),
        ("run with nothing to do", 3, np.median(engine["nothing"]), " s"),
    ]
    rows = []
    for sign, group in (("at least", at_least), ("at most", most)):
        for what, bound, found, unit in group:
            met = found >= bound if sign == "at least" else found <= bound
            margin = f", {found / bound:.2f} of it" if bound else ""
            rows.append(
                [
                    what,
                    f"{sign} {number(bound)}{unit}",
                    f"{number(found)}{unit}",
                    f"{'met' if met else '**not met**'}{margin}",
                ]
            )
    return table(["what", "aim", "measured", ""], rows)


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


def page(measured: dict) -> str:
    machine = measured["machine"]
    train, train_speeds = three_ways("training", measured["training"])
    predict, predict_speeds = three_ways("prediction", measured["prediction"])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    gpu = machine["gpu"] or "no GPU: figures for one are left out"
    plain, shares, engine = measured["plain"], measured["shares"]["ours"], measured["engine"]
    lines = [
        "# Speed",
        "",
        f"Made by `make bench` on {machine['date']}: {machine['hardware']}, {gpu}; {versions}.",
        "[NOTES.md](NOTES.md) lists the optimisations that were tried, and their effects.",
        "",
        "Each figure is the median of five repeats, with minimum and maximum. Contestants take",
        "turns, one repeat each, and ratios compare neighbouring repeats.",
        "",
        "## Aims",
        "",
        *aims(measured),
        "## Speed-up over common implementations",
        "",
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
        "## Import, threshold, encoding, averaging",
        "",
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
        "## Scaling",
        "",
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
        "## Roofline of a training step",
        "",
        *roofline(measured["roofline"]),
        "## The engine",
        "",
        "The demo with one epoch, one job at a time: overhead of",
        f"{spread(np.subtract(engine['whole'], engine['jobs']))} s beyond the",
        f"{spread(engine['jobs'])} s of its {engine['number']} jobs.",
        f"A run with nothing to do: {spread(engine['nothing'])} s.",
        "",
    ]
    return "\n".join(lines)


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
