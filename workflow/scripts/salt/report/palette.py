"""Colours that mean the same in every picture and on the page, told apart by colour-blind eyes.

They are Okabe and Ito's (https://jfly.uni-koeln.de/color), but for that of errors: their vermilion
is too near to the truth's orange for eyes without red or green cones.
"""

TRUTH = "#E69F00"
PREDICTION = "#56B4E9"
ERROR = "#D81B60"
# Members in turn; further ones take the same colours with other dashes.
MEMBERS = ("#0072B2", "#009E73", "#CC79A7", "#8C8C8C")
DASHES = ("-", "--", ":", "-.")


def member_style(number: int) -> tuple[str, str]:
    """Colour and dashes of the member of that place among the members."""
    return MEMBERS[number % len(MEMBERS)], DASHES[number // len(MEMBERS) % len(DASHES)]


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #RRGGBB, 0 to 255 each."""
    return tuple(bytes.fromhex(colour.removeprefix("#")))
