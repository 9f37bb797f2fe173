"""Training: from problems and a loss to weights, in legs that can stop and go on."""

__all__: list[str] = []
