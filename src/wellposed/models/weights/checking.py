"""Whether weights are what they should be: the checksum, the layout, the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import final

from wellposed.core.errors import FormatError
from wellposed.core.files import existing_file
from wellposed.models.weights.cache import sha256_of
from wellposed.models.weights.fetching import entry_of, present
from wellposed.models.weights.loading import load

__all__ = ["Verified", "verify"]


@final
@dataclass(frozen=True)
class Verified:
    """What was found in a file of weights that is in order.

    Parameters
    ----------
    path : Path
    sha256 : str
        Of the file.
    is_known : bool
        Whether the registry knows this checksum; else it is the one that the file had when it came.
    model : str
        The class of the model.
    parameters : int
        How many numbers the model has.
    """

    path: Path
    sha256: str
    is_known: bool
    model: str
    parameters: int


def verify(name_or_path: str | Path, *, model: str | None = None) -> Verified:
    """Check weights that are here: the checksum, the name and shape of each tensor, and that all are finite.

    Parameters
    ----------
    name_or_path : str or Path
        One of `WEIGHTS`, which is not fetched, or a file of yours.
    model : str, optional
        As in `load`.

    Raises
    ------
    MissingFileError
        If the file is not there.
    FormatError
        If something is wrong; it says what.
    UnknownNameError, ArgumentError
        As in `load`.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.models import DnCNN, save_model
    >>> path = Path(tempfile.mkdtemp()) / "mine.safetensors"
    >>> save_model(path, DnCNN(channels=1))
    >>> verify(path).parameters
    665921
    """
    entry = entry_of(name_or_path)
    path = existing_file(name_or_path) if entry is None else present(entry.name)
    loaded = load(name_or_path if entry is None else entry.name, model=model)
    if entry is not None and type(loaded).__name__ != entry.model:
        raise FormatError(f"{path} holds a {type(loaded).__name__}, where its entry says {entry.model}.")
    return Verified(
        path=path,
        sha256=sha256_of(path),
        is_known=entry is not None and entry.sha256 is not None,
        model=type(loaded).__name__,
        parameters=sum(weight.numel() for weight in loaded.parameters()),
    )
