"""The verbs that a user comes for."""

from wellposed.verbs.reconstruct import METHODS, reconstruct

__all__ = ["METHODS", "reconstruct"]
