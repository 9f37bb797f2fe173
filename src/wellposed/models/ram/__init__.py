"""The reconstruct anything model."""

from wellposed.models.ram.initialise import initialise_from_drunet
from wellposed.models.ram.initialise_from_tiny import initialise_from_tiny
from wellposed.models.ram.model import RAM

__all__ = ["RAM", "initialise_from_drunet", "initialise_from_tiny"]
