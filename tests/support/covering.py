"""A covering array: few combinations in which any two values that go together meet.

Tools such as allpairspy stop where their next row adds nothing, which constraints can bring about
with pairs still missing. Here each row begins with a pair that no row has, so all of them are met.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations, product

Row = dict[str, object]


def pairs_of(row: Row) -> set:
    """Return all pairs of values of a combination, each as ((name, value), (name, value))."""
    # By repr, which lists have as well, and which tells 1 from True.
    return set(combinations([(name, repr(value)) for name, value in row.items()], 2))


def allowed_pairs(
    factors: dict[str, list], allowed: Callable[[Row], bool], anchor: str
) -> Iterator[Row]:
    """Yield each pair of values that some allowed combination holds.

    Args:
        factors: values by name; the first of each goes with everything, but for what the anchor
            decides.
        allowed: whether the values of a whole combination go together.
        anchor: name of the factor by which most values are allowed or not.
    """
    plain = {name: values[0] for name, values in factors.items()}
    for (first, values), (second, others) in combinations(factors.items(), 2):
        for pair in ({first: one, second: other} for one, other in product(values, others)):
            tried = ({**plain, anchor: value, **pair} for value in factors[anchor])
            if any(map(allowed, tried)):
                yield pair


def covering_array(
    factors: dict[str, list],
    allowed: Callable[[Row], bool],
    anchor: str,
    extra: list[Row] | None = None,
) -> list[Row]:
    """Return combinations that hold each allowed pair of values, always the same ones.

    Args:
        factors, allowed, anchor: as for ``allowed_pairs``.
        extra: parts of further combinations, which come first.
    """
    missing = {}
    for pair in allowed_pairs(factors, allowed, anchor):
        (key,) = pairs_of(pair)
        missing[key] = pair
    used, rows = Counter(), []

    def fill(part: Row) -> None:
        plain = {name: values[0] for name, values in factors.items()}
        row = dict(part)
        for name in (anchor, *factors):
            if name in row:
                continue
            values = factors[name]
            free = [value for value in values if allowed({**plain, **row, name: value})]

            def gain(value, name=name, row=row) -> tuple[int, int]:
                new = (name, repr(value))
                met = ((other, repr(row[other])) for other in row)
                return (
                    sum((one, new) in missing or (new, one) in missing for one in met),
                    -used[new],
                )

            row[name] = max(free, key=gain)
        row = {name: row[name] for name in factors}
        for pair in pairs_of(row):
            missing.pop(pair, None)
        used.update((name, repr(value)) for name, value in row.items())
        rows.append(row)

    for part in extra or []:
        fill(part)
    while missing:
        fill(next(iter(missing.values())))
    return rows
