"""Read YAML strictly: what is not understood is answered with a sentence that names its place in the file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, final

from wellposed.core.errors import ArgumentError, FormatError, WellposedError
from wellposed.core.files import existing_file
from wellposed.core.names import check_name, optional_import

__all__ = ["Entry", "override", "parse_yaml", "read_yaml", "write_yaml"]

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_PATH = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[\d+\])*")
_SCALARS = {
    "bool": r"true|True|false|False",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+",
    "null": r"null|~|",
}
_REQUIRED = object()


@final
@dataclass(frozen=True)
class Entry:
    """A value of a file, and where it stands.

    Parameters
    ----------
    value : object
        What YAML holds there: a mapping, a list, a text, a number, a truth value or nothing.
    file : str
        Its name, for errors.
    path : str
        Such as ``problems[2].task``; empty for the whole file.

    Raises
    ------
    FormatError
        From every method, if the value is not of the kind asked for.

    Examples
    --------
    >>> Entry({"batch": 0}, "recipe.yaml").child("batch").whole(least=1)
    Traceback (most recent call last):
    wellposed.core.errors.FormatError: recipe.yaml: batch: expected a whole number of at least 1, got 0.
    """

    value: Any
    file: str
    path: str = ""

    @property
    def place(self) -> str:
        """The file, and the path in it."""
        return f"{self.file}: {self.path}" if self.path else self.file

    def fail(self, sentence: str) -> NoReturn:
        """Raise `FormatError` with the place before the sentence."""
        raise FormatError(f"{self.place}: {sentence}")

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """Put the place before the errors of wellposed that a block raises."""
        try:
            yield
        except WellposedError as error:
            raise FormatError(f"{self.place}: {error}") from error

    def section(self, *known: str) -> Entry:
        """Return self if it is a mapping whose keys are all known."""
        if not isinstance(self.value, Mapping):
            self.fail(f"expected a section with {_listed(known)}, got {_described(self.value)}.")
        for key in self.value:
            with self.blamed():
                check_name("key", key, known)
        return self

    def child(self, key: str, default: Any = _REQUIRED) -> Entry:
        """Return the entry under a key, or one that holds the default."""
        value = self.value.get(key, default)
        if value is _REQUIRED:
            self.fail(f"the key {key!r} is missing.")
        return Entry(value, self.file, f"{self.path}.{key}" if self.path else key)

    def has(self, key: str) -> bool:
        """Return whether there is something under a key."""
        return self.value.get(key) is not None

    def children(self) -> dict[str, Entry]:
        """Return the entries of a mapping that is not empty, whatever their names."""
        if not isinstance(self.value, Mapping) or not self.value:
            self.fail(f"expected names with a section each, got {_described(self.value)}.")
        for key in self.value:
            if not isinstance(key, str):
                self.fail(f"expected names, got {_described(key)}.")
        return {key: self.child(key) for key in self.value}

    def entries(self) -> list[Entry]:
        """Return the entries of a list that is not empty."""
        if not isinstance(self.value, (list, tuple)) or not self.value:
            self.fail(f"expected a list with at least one entry, got {_described(self.value)}.")
        return [Entry(value, self.file, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a text that is not empty."""
        if not isinstance(self.value, str) or not self.value:
            self.fail(f"expected a text, got {_described(self.value)}.")
        return self.value

    def choice(self, kind: str, known: Iterable[Any], *, hint: str = "") -> Any:
        """Return the value if it is among the known ones."""
        known = list(known)
        if isinstance(self.value, str):
            with self.blamed():
                check_name(kind, self.value, map(str, known), hint=hint)
        if self.value not in known or type(self.value) is not type(known[0]):
            self.fail(f"expected {_listed(known, 'or')}, got {_described(self.value)}.")
        return self.value

    def flag(self) -> bool:
        """Return a truth value."""
        if not isinstance(self.value, bool):
            self.fail(f"expected true or false, got {_described(self.value)}.")
        return self.value

    def whole(self, *, least: int) -> int:
        """Return a whole number of at least `least`."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < least:
            self.fail(f"expected a whole number of at least {least}, got {_described(self.value)}.")
        return self.value

    def number(self, *, least: float = -math.inf, most: float = math.inf) -> float:
        """Return a finite number from `least` to `most`."""
        if not _is_number(self.value) or not least <= self.value <= most:
            bounds = [f" {word} {bound:g}" for word, bound in (("from", least), ("to", most)) if math.isfinite(bound)]
            self.fail(f"expected a number{''.join(bounds)}, got {_described(self.value)}.")
        return float(self.value)

    def positive(self) -> float:
        """Return a finite number above zero."""
        if not _is_number(self.value) or self.value <= 0:
            self.fail(f"expected a number above zero, got {_described(self.value)}.")
        return float(self.value)


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file of plain values; a key given twice is an error, and ``1e-4`` is a number.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is not YAML; the line is named.
    MissingDependencyError
        If PyYAML is not installed.
    """
    try:
        return parse_yaml(existing_file(path).read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise FormatError(f"{path} is not text in UTF-8.") from error


def parse_yaml(text: str, name: str) -> Any:
    """Return the plain values in a YAML text, as `read_yaml` does; errors call it `name`."""
    yaml = optional_import("yaml", extra="train")
    try:
        return yaml.load(text, Loader=_strict_loader(yaml))
    except (yaml.YAMLError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        raise FormatError(f"{name} is not YAML{where}: {problem or ' '.join(str(error).split())}.") from error
    except RecursionError as error:
        raise FormatError(f"{name} is not a recipe: it is nested too deeply.") from error


def write_yaml(value: Any) -> str:
    """Return YAML for plain values, in the order in which they stand, that `parse_yaml` reads as they were."""
    yaml = optional_import("yaml", extra="train")
    dumper = _with_scalars(type("StrictDumper", (yaml.SafeDumper,), {}))
    return yaml.dump(value, Dumper=dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)


def override(tree: Any, assignment: str) -> Any:
    """Return a copy of plain values in which one is replaced, as in ``problems[0].batch=4``.

    Parameters
    ----------
    tree : object
        Mappings and lists.
    assignment : str
        A path, an equals sign, and the new value in YAML. Keys may be new.

    Raises
    ------
    ArgumentError
        If there is no equals sign, or the path leads nowhere.

    Examples
    --------
    >>> override({"problems": [{"batch": 16}]}, "problems[0].batch=4")
    {'problems': [{'batch': 4}]}
    >>> override({"model": {"name": "RAM"}}, "model.start.denoiser=drunet-small-rgb")
    {'model': {'name': 'RAM', 'start': {'denoiser': 'drunet-small-rgb'}}}
    """
    path, equals, text = assignment.partition("=")
    steps = [name or int(index) for name, index in _STEP.findall(path)]
    if not equals or not _PATH.fullmatch(path):
        raise ArgumentError(f"expected an assignment such as 'optimiser.learning_rate=1e-4', got {assignment!r}.")
    return _replaced(tree, steps, parse_yaml(text, "the value of " + path), path)


def _replaced(tree: Any, steps: list[str | int], value: Any, path: str) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if isinstance(tree, dict) and isinstance(step, str):
        return {**tree, step: _replaced(tree.get(step, {}), rest, value, path)}
    if isinstance(tree, list) and isinstance(step, int) and step < len(tree):
        return [*tree[:step], _replaced(tree[step], rest, value, path), *tree[step + 1 :]]
    raise ArgumentError(f"{path!r} cannot be set: the recipe has no {step!r} there.")


def _strict_loader(yaml: Any) -> Any:
    """Return a loader of plain values that refuses repeated keys and reads numbers as Python does."""
    loader: Any = type("StrictLoader", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})

    def mapping(self: Any, node: Any) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name, value in node.value:
            key = self.construct_object(name, deep=True)
            if not isinstance(key, str) or key in content:
                problem = f"the key {key!r} is " + ("there twice" if isinstance(key, str) else "not a text")
                raise yaml.constructor.ConstructorError(None, None, problem, name.start_mark)
            content[key] = self.construct_object(value, deep=True)
        return content

    loader.add_constructor("tag:yaml.org,2002:map", mapping)
    loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))
    loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))
    return _with_scalars(loader)


def _with_scalars(kind: Any) -> Any:
    """Return a loader or a dumper that knows which unquoted texts are numbers, truth values or nothing."""
    for name, pattern in _SCALARS.items():
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(f"(?:{pattern})$"), None)
    return kind


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _listed(names: Iterable[Any], word: str = "and") -> str:
    *first, last = map(str, names)
    return f"{', '.join(first)} {word} {last}" if first else last


def _described(value: Any) -> str:
    """Return a short text for a value that was not expected."""
    if value is None:
        return "nothing"
    if isinstance(value, (Mapping, list, tuple)):
        return "a section" if isinstance(value, Mapping) else f"a list of {len(value)}"
    return str(value).lower() if isinstance(value, bool) else repr(value)
