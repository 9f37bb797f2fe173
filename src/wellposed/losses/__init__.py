"""Losses: how wrong a reconstruction is, one value per image."""

__all__: list[str] = []
