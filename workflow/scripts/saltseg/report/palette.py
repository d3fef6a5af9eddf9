"""Colour-blind-safe colours, with the same meaning in every picture and on the page.

They are Okabe and Ito's (https://jfly.uni-koeln.de/color), except for errors: their vermilion is
too close to the orange of the truth for viewers who lack red or green cones.
"""

TRUTH = "#E69F00"
PREDICTION = "#56B4E9"
ERROR = "#D81B60"
# Dark to bright, for maps: Matplotlib's viridis, to be interpolated.
RAMP = (
    "#440154",
    "#472C7B",
    "#3A528B",
    "#2C728E",
    "#20908C",
    "#28AE7F",
    "#5EC961",
    "#ADDC30",
    "#FDE724",
)
# Cycled over members; after each round of colours, the next dash pattern.
MEMBERS = ("#0072B2", "#009E73", "#CC79A7", "#8C8C8C")
DASHES = ("-", "--", ":", "-.")


def member_style(number: int) -> tuple[str, str]:
    """Return the colour and dash pattern of the member at index ``number``."""
    return MEMBERS[number % len(MEMBERS)], DASHES[number // len(MEMBERS) % len(DASHES)]


def rgb(colour: str) -> tuple[int, ...]:
    """Return red, green and blue of #RRGGBB, each 0 to 255."""
    return tuple(bytes.fromhex(colour.removeprefix("#")))
