"""Weights by name or from files: bundled, fetched, verified, converted, and the models that have them."""

from wellposed.models.weights.cache import cache_folder
from wellposed.models.weights.checking import Verified, verify
from wellposed.models.weights.converting import bundle, convert
from wellposed.models.weights.download import DownloadError
from wellposed.models.weights.entry import Weights
from wellposed.models.weights.fetching import fetch, find, present
from wellposed.models.weights.loading import fill, load
from wellposed.models.weights.registry import WEIGHTS

__all__ = [
    "WEIGHTS",
    "DownloadError",
    "Verified",
    "Weights",
    "bundle",
    "cache_folder",
    "convert",
    "fetch",
    "fill",
    "find",
    "load",
    "present",
    "verify",
]
