"""The base of operators and noise models: modules whose physical parameters are buffers, and which never change.

The rule that makes all else short: **each argument of the constructor is kept as an attribute of the same name**. A
changed copy is then the constructor called again, and a description is the list of its arguments.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import torch
from torch import Tensor, nn

from wellposed.core.autograd import is_recorded
from wellposed.core.complex_view import real_view
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.core.names import check_keywords

__all__ = ["Parametrised"]


class Parametrised(nn.Module):
    """A module with named physical parameters (mask, kernel, sigma, ...) that are replaced, never written.

    Subclasses store every constructor argument under its own name, tensors through `register_parameter_tensor`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._derived: dict[str, tuple[tuple[Any, ...], Tensor]] = {}

    def register_parameter_tensor(self, name: str, value: Tensor | float) -> None:
        """Keep a physical parameter: a buffer that `.to()` moves, or a trainable one if it is an `nn.Parameter`.

        Parameters
        ----------
        name : str
            The name of the constructor's argument.
        value : Tensor or float
            Booleans and integers become the default floating dtype.

        Raises
        ------
        ShapeError
            If the tensor is empty.
        """
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
            return
        if not isinstance(value, (Tensor, int, float, complex)):
            raise DTypeError(
                f"{type(self).__name__} expects {name} to be a number or a torch.Tensor, got {type(value).__name__}."
            )
        tensor = torch.as_tensor(value)
        if tensor.numel() == 0:
            raise ShapeError(f"{type(self).__name__} got an empty {name} of shape {tuple(tensor.shape)}.")
        if not (tensor.is_floating_point() or tensor.is_complex()):
            tensor = tensor.to(torch.get_default_dtype())
        self.register_buffer(name, tensor)

    @property
    def params(self) -> dict[str, Tensor]:
        """The physical parameters by name, those of the parts of a composition included.

        A name that several parts have, or a part and the whole, is qualified by the part: `inner.kernel`.
        """
        parts = dict(self._parametrised_parts())
        inherited = self._inherited_names()
        return self.own_params() | {name: parts[part].params[local] for name, (part, local) in inherited.items()}

    def own_params(self) -> dict[str, Tensor]:
        """Return the parameters of this object alone, without those of its parts."""
        own = {**self._buffers, **self._parameters}
        return {name: value for name, value in own.items() if value is not None and not name.startswith("_")}

    def _inherited_names(self) -> dict[str, tuple[str, str]]:
        """Map the name of each parameter of a part to that part and to the name that it has there."""
        owned = [(part, local) for part, module in self._parametrised_parts() for local in module.params]
        count = Counter([*self.own_params(), *(local for _, local in owned)])
        return {local if count[local] == 1 else f"{part}.{local}": (part, local) for part, local in owned}

    def _parametrised_parts(self) -> list[tuple[str, Parametrised]]:
        parts: list[tuple[str, Parametrised]] = []
        for name, module in self._modules.items():
            if isinstance(module, Parametrised):
                parts.append((name, module))
            elif isinstance(module, nn.ModuleList):
                parts += [(f"{name}.{i}", entry) for i, entry in enumerate(module) if isinstance(entry, Parametrised)]
        return parts

    @classmethod
    def constructor_names(cls) -> tuple[str, ...]:
        """Return the names of the constructor's arguments."""
        return tuple(inspect.signature(cls).parameters)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments that build this object again, by name.

        Raises
        ------
        ArgumentError
            If the class does not keep one of them as an attribute of the same name.
        """
        arguments: dict[str, Any] = {}
        for name in self.constructor_names():
            if not hasattr(self, name):
                raise ArgumentError(
                    f"{type(self).__name__} does not keep its constructor's argument {name!r}: store it as self.{name} "
                    "so that with_params and save_measurements can build the object again."
                )
            value = getattr(self, name)
            arguments[name] = tuple(value) if isinstance(value, nn.ModuleList) else value
        return arguments

    def with_params(self, **params: Tensor | float) -> Self:
        """Return a copy with some physical parameters replaced; the rest is shared and `self` stays as it was.

        Parameters
        ----------
        **params : Tensor or float
            New values by name. Gradients flow through them.

        Raises
        ------
        KeywordError
            If a name is not a parameter of this object or of its parts.
        """
        if not params:
            return self
        check_keywords(type(self).__name__, params, self.params)
        return self._rebuilt(params)

    def _rebuilt(self, params: dict[str, Tensor | float]) -> Self:
        arguments = self.constructor_arguments()
        inherited = self._inherited_names()
        own = {name: value for name, value in params.items() if name not in inherited}
        changes: dict[str, dict[str, Tensor | float]] = {}
        for name in params.keys() & inherited.keys():
            part, local = inherited[name]
            changes.setdefault(part, {})[local] = params[name]
        replaced = {part: module.with_params(**changes.get(part, {})) for part, module in self._parametrised_parts()}
        for name, value in arguments.items():
            if isinstance(value, Parametrised):
                arguments[name] = replaced[name]
            elif isinstance(value, tuple) and any(f"{name}.{i}" in replaced for i in range(len(value))):
                arguments[name] = tuple(replaced.get(f"{name}.{i}", entry) for i, entry in enumerate(value))
        copy = type(self)(**{**arguments, **own})
        copy.train(self.training)
        return copy

    def derived(self, name: str, parameters: tuple[str, ...], compute: Callable[[], Tensor]) -> Tensor:
        """Return what `compute` makes of some parameters, computed once for as long as they stay the same tensors.

        Nothing is kept while a gradient is wanted, so that each backward pass has a graph of its own.
        """
        return self._kept(name, tuple(getattr(self, parameter) for parameter in parameters), compute)

    def _kept(self, name: str, tensors: tuple[Tensor, ...], compute: Callable[[], Tensor]) -> Tensor:
        """Return what `compute` makes of some tensors, as `derived` does."""
        if any(is_recorded(tensor) or tensor.is_inference() for tensor in tensors):
            return compute()
        versions = tuple(tensor._version for tensor in tensors)
        kept = self._derived.get(name)
        if kept is not None:
            (kept_tensors, kept_versions), value = kept
            if kept_versions == versions and all(a is b for a, b in zip(kept_tensors, tensors, strict=True)):
                return value
        with torch.inference_mode(mode=False), torch.no_grad():
            value = compute()
        self._derived[name] = ((tensors, versions), value)
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_derived": {}}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:  # noqa: FBT001, FBT002
        """Move or cast; complex parameters keep their imaginary part when the dtype asked for is real."""
        self._derived = {}

        def keep_complex(tensor: Tensor) -> Tensor:
            if not tensor.is_complex():
                return fn(tensor)
            parts = fn(real_view(tensor))
            return tensor.to(parts.dtype) if parts.is_complex() else torch.view_as_complex(parts)

        return super()._apply(keep_complex, recurse)
