"""Figures, pictures of tiles, and the page that holds them."""

import os

# A notebook's drawing backend, which a shell inherits, is not there in jobs.
os.environ["MPLBACKEND"] = "agg"
