"""Operators: one file an acquisition, and their algebra."""
