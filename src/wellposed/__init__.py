"""Imaging inverse problems in PyTorch."""
