"""A registry entry: which model the weights are for, where they come from, and what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

__all__ = ["Weights"]


@final
@dataclass(frozen=True)
class Weights:
    """Weights by name.

    Parameters
    ----------
    name : str
    model : str
        A class of `wellposed.models`.
    arguments : mapping of str to value
        With which to build it.
    file : str
        Name of the file, in the package or in the cache folder.
    licence : str
        Under which the weights are published.
    data : str
        On which they were trained.
    recipe : str
        How they were trained.
    use, limits : str
        What they are for, and where they fail or were never tried.
    urls : tuple of str
        Where the file is published, the first choice first; empty if it comes with the package.
    sha256 : str, optional
        Checksum of the file, 64 hexadecimal digits.
    size : int, optional
        Of the file, in bytes.
    reference : str
        The publication.
    results : mapping of str to float
        What was measured with this library, by the name of the test; nothing that others report.

    Examples
    --------
    >>> from wellposed.models.weights import WEIGHTS
    >>> WEIGHTS["dncnn-25"].model, WEIGHTS["dncnn-25"].arguments["depth"]
    ('DnCNN', 17)
    """

    name: str
    model: str
    arguments: Mapping[str, Any]
    file: str
    licence: str
    data: str
    recipe: str
    use: str
    limits: str
    urls: tuple[str, ...] = ()
    sha256: str | None = None
    size: int | None = None
    reference: str = ""
    results: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_bundled(self) -> bool:
        """Whether the file comes with the package."""
        return not self.urls

    @property
    def card(self) -> Path:
        """Where its model card is, from the root of the repository."""
        return Path("weights") / f"{self.name}.md"

    def built_as(self) -> str:
        """Return the call that builds the model: `DnCNN(channels=1, depth=17)`."""
        return f"{self.model}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"
