"""Model cards: what the registry knows of each entry, as a page."""

from __future__ import annotations

from pathlib import Path

from wellposed.core.files import atomic_path
from wellposed.models.weights.entry import Weights
from wellposed.models.weights.registry import WEIGHTS

__all__ = ["card", "write_cards"]

_NONE_MEASURED = "Nothing was measured with this library yet."


def card(entry: Weights) -> str:
    """Return the model card of an entry, in Markdown.

    Examples
    --------
    >>> print(card(WEIGHTS["dncnn-25"]).splitlines()[0])
    # dncnn-25
    """
    facts = {
        "model": f"`{entry.built_as()}`",
        "file": f"`{entry.file}`" + (", with the package" if entry.is_bundled else ""),
        "published at": "<br>".join(f"<{url}>" for url in entry.urls),
        "size": f"{entry.size:,} bytes" if entry.size else "",
        "sha256": f"`{entry.sha256}`" if entry.sha256 else "the one it has when it is first fetched",
        "licence": entry.licence,
    }
    table = "".join(f"| {name} | {fact} |\n" for name, fact in facts.items() if fact)
    sections = {
        "Intended use": f"{entry.use}\n\n{_usage(entry)}",
        "Limits": entry.limits,
        "Training data": entry.data,
        "Training recipe": entry.recipe,
        "Measured results": _results(entry),
        "Reference": entry.reference,
    }
    body = "\n".join(f"## {title}\n\n{text}\n" for title, text in sections.items() if text)
    return f"{_head(entry.name)}{table}\n{body}"


def write_cards(folder: str | Path) -> None:
    """Write the card of every entry to a folder, and remove cards of entries that are no more.

    Parameters
    ----------
    folder : str or Path
        `weights`, in the repository.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for entry in WEIGHTS.values():
        with atomic_path(folder / entry.card.name) as temporary:
            temporary.write_text(card(entry), encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.stem not in WEIGHTS and path.read_text(encoding="utf-8").startswith(_head(path.stem)):
            path.unlink()


def _head(name: str) -> str:
    """Return how every card begins, and nothing else in the folder."""
    return f"# {name}\n\n| | |\n| --- | --- |\n"


def _usage(entry: Weights) -> str:
    return f'```python\nmodel = wp.models.weights.load("{entry.name}")\n```'


def _results(entry: Weights) -> str:
    if not entry.results:
        return _NONE_MEASURED
    rows = "\n".join(f"| {test} | {value:g} |" for test, value in entry.results.items())
    return f"| test | result |\n| --- | ---: |\n{rows}"
