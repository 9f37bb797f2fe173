"""An empty cache folder, no pauses between attempts, and a web server with one file."""

import pytest

from tests.models.weights.site import serving
from wellposed.models.weights import Weights, download, registry

CONTENT = bytes(range(251)) * 40


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WELLPOSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_PAUSE", 0)
    return tmp_path / "cache" / "weights"


@pytest.fixture
def site():
    with serving(CONTENT) as site:
        yield site


@pytest.fixture
def register(monkeypatch):
    """Return a function that adds an entry to the registry for the length of a test."""

    def add(**values):
        texts = dict.fromkeys(("licence", "data", "recipe", "use", "limits"), "some")
        defaults = {"name": "mine", "model": "DnCNN", "arguments": {}, "file": "mine.pth", **texts}
        entry = Weights(**{**defaults, **values})
        monkeypatch.setitem(registry.WEIGHTS, entry.name, entry)
        return entry

    return add
