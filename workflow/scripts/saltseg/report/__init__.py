"""Figures, pictures of tiles, and the page that holds them."""
