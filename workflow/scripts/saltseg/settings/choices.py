"""Names that keys may have as values, each with what the tables of keys say about it."""

# A new loss is a function of training/losses.py with this name, and a line here.
LOSSES = {
    "bce": "cross-entropy",
    "dice": "Dice loss of the whole batch",
    "dice_per_tile": "mean Dice loss of the tiles",
    "bce_dice": "sum of `bce` and `dice`",
    "lovasz": "Lovász hinge (elu + 1) for salt",
    "symmetric_lovasz": "its mean over both classes",
    "lovasz_bce": "0.8 `lovasz` + 0.2 `bce`",
    "symmetric_lovasz_bce": "0.8 `symmetric_lovasz` + 0.2 `bce`",
}
# A new one is a value of Epoch.monitored, and a line here.
MONITORS = {
    "loss": "the validation loss, as in the original",
    "map": "the score at a threshold of 0.5",
    "last": "the last epoch is kept, and nothing depends on the held-out fold",
}


def describe(choices: dict[str, str]) -> str:
    """Return names and what is said about them, as a list within a sentence."""
    return "; ".join(f"`{name}`: {words}" for name, words in choices.items())
