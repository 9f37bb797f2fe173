"""Noise models: one file a family."""
