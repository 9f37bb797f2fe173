"""Reconstruction by optimisation."""
