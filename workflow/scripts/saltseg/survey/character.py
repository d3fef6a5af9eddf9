"""What a survey looks like to a network: how coarse, how even and which way round it is.

Measured on a sample of traces, so that a volume of another character than that which members were
trained on is noticed before it is predicted. Between the demo's volumes of ten seeds, surveys of
another generator and parts of each, nothing is noticed; a lower frequency by a third, and gain
control in windows of up to 80 samples, are.
"""

from dataclasses import asdict, dataclass, fields
from math import isclose

import numpy as np

SAMPLE = 2000  # traces
WINDOW, WINDOWS = 32, 4  # samples of windows that loudness is measured in, and how many it needs
EVENT, QUIET = 0.25, 0.1  # of a trace's largest amplitude, and of an event's what lies above it
MOST = 0.6  # of traces or signs that have to agree
COARSER, SAME, EVENER = 1.45, 1.15, 1.7  # ratios
EVEN = 2.7  # decibels; loudness varies by 3 or more without gain control, even along one line


@dataclass(frozen=True)
class Character:
    """What a survey looks like; None for what is not known.

    interval: from sample to sample, in milliseconds or metres
    frequency: root mean square of the spectrum, in cycles per sample
    variation: standard deviation of loudness over windows of 32 samples, in decibels
    polarity: 1 where a reflector from harder rock, such as the sea floor, is positive, else -1
    """

    interval: float | None = None
    frequency: float | None = None
    variation: float | None = None
    polarity: float | None = None

    @classmethod
    def of(cls, values: dict) -> "Character":
        """Return the character that a dict holds, among other keys."""
        return cls(**{each.name: values.get(each.name) for each in fields(cls)})

    @classmethod
    def measure(cls, traces: np.ndarray, interval: float | None = None) -> "Character":
        """Measure some traces: floats (traces, samples), NaN if undefined."""
        traces = np.nan_to_num(traces.astype(np.float64))
        traces = traces[traces.any(axis=1)]
        if not len(traces) or traces.shape[1] < WINDOW:
            return cls(interval)
        frequency = _frequency(traces)
        polarity = _first_reflector(traces, max(round(1 / frequency), 2))
        return cls(interval, frequency, _variation(traces), polarity)

    def as_dict(self) -> dict:
        return asdict(self)


def choose_traces(traces: np.ndarray) -> np.ndarray:
    """Choose traces to measure, evenly spread, of numbers in any shape, -1 where missing: int32."""
    there = traces[traces >= 0]
    return there[np.unique(np.linspace(0, len(there) - 1, SAMPLE).astype(np.int64))]


def _frequency(traces: np.ndarray) -> float:
    """Return the root mean square frequency, in cycles per sample, each trace counting alike."""
    power = np.square(np.abs(np.fft.rfft(traces * np.hanning(traces.shape[1]), axis=1)))
    mean = (power / power.sum(axis=1, keepdims=True)).mean(axis=0)
    squared = np.square(np.fft.rfftfreq(traces.shape[1]))
    return float(np.sqrt((mean * squared).sum() / mean.sum()))


def _variation(traces: np.ndarray) -> float | None:
    """Return the standard deviation of loudness, in decibels; silence does not count.

    None for short traces, which may be a part of what gain was applied to.
    """
    if traces.shape[1] < WINDOW * WINDOWS:
        return None
    whole = traces[:, : traces.shape[1] // WINDOW * WINDOW].reshape(len(traces), -1, WINDOW)
    loud = np.sqrt(np.square(whole).mean(axis=2))
    loud = loud[loud > 0]
    # What is far below the mean is noise.
    return float((20 * np.log10(loud + 0.01 * loud.mean())).std())


def _first_reflector(traces: np.ndarray, period: int) -> float | None:
    """Return the sign of the first strong event if nothing is above it, as in water, or None.

    ``period`` is that of the wavelet, in samples.
    """
    rows, size = np.arange(len(traces)), np.abs(traces)
    begin = (size > EVENT * size.max(axis=1, keepdims=True)).argmax(axis=1)
    around = np.minimum(begin[:, None] + np.arange(period), traces.shape[1] - 1)
    peak = begin + size[rows[:, None], around].argmax(axis=1)
    above = peak - period
    power = np.cumsum(np.square(traces), axis=1)[rows, np.maximum(above - 1, 0)]
    quiet = power <= np.square(QUIET * size[rows, peak]) * above
    quiet &= above > 2
    return agreed_sign(traces[rows, peak][quiet]) if quiet.mean() > MOST else None


def agreed_sign(values: np.ndarray) -> float | None:
    """Return the sign that most values have, 1 or -1, or None if they differ."""
    mean = np.sign(values).mean() if len(values) else 0
    return float(np.sign(mean)) if abs(mean) > MOST else None


def compare_with_nearest(volume: Character, trained_on: dict, polarity: str) -> list[str]:
    """Return what ``compare`` does of the survey, of all that members learnt from, nearest to it.

    trained_on: of ``training.start.greyscale_of``, empty if not known
    """
    surveys = map(Character.of, [trained_on, *trained_on.get("further", [])])
    return min((compare(volume, survey, polarity) for survey in surveys), key=len)


def compare(volume: Character, members: Character, polarity: str) -> list[str]:
    """Return what of a volume differs from what its members were trained on, and the remedies.

    ``polarity`` is the volume's ``survey.polarity``.
    """
    return [
        *_compare_polarity(volume, members, polarity),
        *(_compare_frequency(volume, members) or _compare_interval(volume, members)),
        *_compare_variation(volume, members),
    ]


def _ratio(members: float | None, volume: float | None) -> float | None:
    return members / volume if members and volume else None


def _compare_polarity(volume: Character, members: Character, polarity: str) -> list[str]:
    if (_ratio(members.polarity, volume.polarity) or 1) > 0:
        return []
    own, theirs = ("negative", "positive") if members.polarity == 1 else ("positive", "negative")
    other = {"normal": "reversed", "reversed": "normal"}[polarity]
    return [
        f"polarity looks reversed (the strongest shallow reflector is {own}; {theirs} where the "
        f"members were trained): set survey.polarity: {other}"
    ]


def _compare_frequency(volume: Character, members: Character) -> list[str]:
    ratio = _ratio(members.frequency, volume.frequency)
    if ratio is None or 1 / COARSER < ratio < COARSER:
        return []
    to = f" to one sample every {volume.interval * ratio:.3g} (ms or m)" if volume.interval else ""
    return [
        f"reflections have {volume.frequency:.3f} cycles per sample, {members.frequency:.3f} where "
        f"the members were trained, so that layers look {ratio:.2g} times as thick to them, and "
        f"masks may be worse: resample the volume{to}, or label lines of it and train"
    ]


def _compare_interval(volume: Character, members: Character) -> list[str]:
    ratio = _ratio(members.interval, volume.interval)
    if ratio is None or isclose(ratio, 1, rel_tol=0.01):
        return []
    # What networks see is the thickness of layers in samples.
    thicker = _ratio(members.frequency, volume.frequency)
    if thicker and 1 / SAME < thicker < SAME:
        return []
    return [
        f"samples of this volume are {volume.interval:g} (ms or m) apart, those that the members "
        f"were trained on {members.interval:g}, so that layers look {ratio:.3g} times as thick to "
        "them, and masks may be worse; resample the volume, or train on it"
    ]


def _compare_variation(volume: Character, members: Character) -> list[str]:
    ratio = _ratio(members.variation, volume.variation)
    if ratio is None or 1 / EVENER < ratio < EVENER:
        return []
    own, theirs = volume.variation or 0, members.variation or 0
    if min(own, theirs) > EVEN:
        return []
    evener, gained = ("evener", "this volume") if own < theirs else ("less even", "theirs")
    return [
        f"amplitudes are {evener} than where the members were trained (they vary by {own:.1f} "
        f"instead of {theirs:.1f} dB), as if {gained} had automatic gain control: predict a "
        "version with the same gain, or label lines of it and train"
    ]
