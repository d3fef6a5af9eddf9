"""Prediction with finished members."""
