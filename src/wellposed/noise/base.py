"""What every noise model has in common: draws around clean measurements, their mean and their variance."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError, UnsupportedError
from wellposed.core.parametrised import Parametrised
from wellposed.core.shapes import Field, check_tree
from wellposed.core.tree import Tree, per_image, tree_map
from wellposed.core.values import values_hold

__all__ = ["ElementwiseNoise", "NoiseModel"]


class NoiseModel(Parametrised, ABC):
    r"""A conditional distribution of measurements given the clean ones.

    .. math:: y \sim p(y \mid \bar y), \qquad \bar y = A x

    A parameter is a number, one value per image (shape (B,) or (1,)), or a map with as many axes as the measurements,
    each of full length or one. Draws keep the shape and the dtype of the clean measurements, which may be a tuple.

    `noise_b @ noise_a` applies `noise_a` first. A new family is a subclass of `ElementwiseNoise`.
    """

    def forward(self, clean: Tree, *, generator: torch.Generator | None = None, **params: Tensor | float) -> Tree:
        """Draw noisy measurements.

        Parameters
        ----------
        clean : Tensor, shape (B, ...), or tuple of tensors
            Clean measurements; never written to.
        generator : torch.Generator, optional
            Where the randomness comes from; it advances. None is torch's own, which `torch.manual_seed` seeds.
        **params : Tensor or float
            Parameters for this call only, by name: the same as `noise.with_params(...)(clean)`.

        Returns
        -------
        Tensor or tuple of tensors
            Like `clean`.

        Raises
        ------
        KeywordError
            If a name is not a parameter of this model.
        ShapeError
            If a parameter does not fit the measurements.
        DTypeError
            If the measurements are of integers, or complex where only real ones make sense.
        """
        return self.with_params(**params)._sample_tree(clean, generator)

    @final
    def mean(self, clean: Tree) -> Tree:
        """Return the conditional mean E[y | clean], shaped like `clean`."""
        return self._mean_tree(clean)

    @final
    def variance(self, clean: Tree) -> Tree:
        """Return the conditional variance Var[y | clean], shaped like `clean` and real.

        For complex measurements it is the variance of the real part, which equals that of the imaginary part.
        """
        return self._variance_tree(clean)

    def __matmul__(self, first: NoiseModel) -> NoiseModel:
        """Return the model that applies `first` and then this one to its draw."""
        from wellposed.noise.compose import Compose

        return Compose((first, self))

    def extra_repr(self) -> str:
        """Describe the parameters: numbers by value, tensors by shape."""
        own = {**self._buffers, **self._parameters}
        return ", ".join(
            f"{name}={value.item():g}" if value.ndim == 0 else f"{name}=Tensor{tuple(value.shape)}"
            for name, value in own.items()
            if value is not None
        )

    @abstractmethod
    def _sample_tree(self, clean: Tree, generator: torch.Generator | None) -> Tree: ...

    @abstractmethod
    def _mean_tree(self, clean: Tree) -> Tree: ...

    @abstractmethod
    def _variance_tree(self, clean: Tree) -> Tree: ...

    @abstractmethod
    def _inherited_variance_tree(self, variance: Tree) -> Tree:
        """Return what the variance of a random input adds to the variance at its mean, for `Compose`."""


class ElementwiseNoise(NoiseModel):
    """Noise that is independent from one number to the next, given the clean ones: the base of every family.

    A family implements `_sample`, `_mean` and `_variance` of one tensor, and asks `_fitted` for its parameters. If its
    mean is affine and its variance quadratic in the clean number, `_variance_gain` says so to compositions.
    """

    field: ClassVar[Field] = "real"

    @abstractmethod
    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor: ...

    @abstractmethod
    def _mean(self, clean: Tensor) -> Tensor: ...

    @abstractmethod
    def _variance(self, clean: Tensor) -> Tensor: ...

    def _variance_gain(self, _like: Tensor) -> Tensor | float:
        r"""Return g such that Var[y] = v(E z) + g Var[z] for a random clean z, v being the conditional variance.

        With a conditional mean of slope a and a conditional variance of second derivative 2c, g = a^2 + c.
        """
        raise UnsupportedError(
            f"The mean and variance of {type(self).__name__} after another noise have no closed form; "
            "estimate them from draws, or ask each model for its own."
        )

    def _sample_tree(self, clean: Tree, generator: torch.Generator | None) -> Tree:
        return tree_map(lambda part: self._sample(self._checked(part), generator), clean)

    def _mean_tree(self, clean: Tree) -> Tree:
        return tree_map(lambda part: self._mean(self._checked(part)), clean)

    def _variance_tree(self, clean: Tree) -> Tree:
        return tree_map(lambda part: self._variance(self._checked(part)).expand(part.shape).contiguous(), clean)

    def _inherited_variance_tree(self, variance: Tree) -> Tree:
        return tree_map(lambda part: self._variance_gain(part) * part, variance)

    def _checked(self, clean: Tensor) -> Tensor:
        any_sizes = (None,) * (getattr(clean, "ndim", 1) - 1)
        check_tree(type(self).__name__, "measurements", clean, any_sizes, self.field)
        return clean

    def _register(
        self, name: str, value: Tensor | float, *, at_least: float | None = None, above: float | None = None
    ) -> None:
        """Keep a parameter, if it is real, finite and within its bounds."""
        self.register_parameter_tensor(name, value)
        kept = getattr(self, name)
        if kept.is_complex():
            raise DTypeError(f"{type(self).__name__} expects a real {name}, got {kept.dtype}.")
        bound = f"{name} > {above:g}" if above is not None else f"{name} >= {at_least:g}"
        within = kept > above if above is not None else kept >= at_least
        if not values_hold(within & torch.isfinite(kept)):
            extreme = kept.min().item() if math.isfinite(kept.max().item()) else kept.max().item()
            raise ArgumentError(f"{type(self).__name__} expects a finite {bound}, got {extreme:g}.")

    def _fitted(self, name: str, like: Tensor) -> Tensor:
        """Return a parameter with the precision and the device of `like`, in a shape that multiplies it."""
        value: Tensor = getattr(self, name)
        if value.ndim == 1:
            fits = value.shape[0] in {1, like.shape[0]}
        else:
            sizes = zip(value.shape, like.shape, strict=False)
            fits = value.ndim == 0 or (value.ndim == like.ndim and all(a in {1, b} for a, b in sizes))
        if not fits:
            raise ShapeError(
                f"{type(self).__name__} expects {name} to be a number, one per image of shape ({like.shape[0]},), "
                f"or a map whose axes match those of the measurements {tuple(like.shape)} or are 1, "
                f"got {tuple(value.shape)}."
            )
        value = value.to(device=like.device, dtype=real_dtype(like.dtype))
        return per_image(value, like) if value.ndim == 1 else value
