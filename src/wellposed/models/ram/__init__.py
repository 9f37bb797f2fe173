"""The reconstruct anything model."""

from wellposed.models.ram.model import RAM

__all__ = ["RAM"]
