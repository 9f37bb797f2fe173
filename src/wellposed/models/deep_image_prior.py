"""Deep image prior: fit a network to the measurements of one image, and stop when held-out ones get worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, final

import torch
from torch import Tensor, nn
from torch.func import functional_call

from wellposed.core.arguments import check_counts, check_whole
from wellposed.core.complex_view import channels_to_complex
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.rng import normal_like, streams, uniform_like
from wellposed.core.tree import Tree, norm, tree_leaves, tree_map
from wellposed.models.hourglass import Hourglass
from wellposed.operators import LinearOperator
from wellposed.operators._slices import of_images
from wellposed.optim import LeastSquares, smooth_start
from wellposed.physics import Physics, as_physics
from wellposed.solvers import run

__all__ = ["DeepImagePrior"]

Progress: TypeAlias = Callable[[int, int], Any]
"""Called as `callback(step, steps)`."""

_CHECK_EVERY = 10
_BETAS = (0.9, 0.999)
_TINY = 1e-8


@final
class DeepImagePrior(nn.Module):
    r"""Reconstruct by a network that has seen nothing but the measurements of this one image.

    .. math:: \min_\theta \sum_{i \text{ kept}} |(A\, f_\theta(n) - y)_i|^2, \qquad \hat x = \overline{f_\theta(n)}

    An hourglass network f makes an image of fixed noise n. It fits smooth and repeated structure long before it fits
    noise, so that stopping early regularises. Some entries of the measurements, drawn at random, are held out: the
    answer is the running mean of the images at the step where it explains those best, and the fit ends when that step
    lies `patience` steps back. Each image of a batch is fitted by itself, from the same seed.

    Parameters
    ----------
    max_steps : int
        The most steps of Adam for an image.
    learning_rate : float
    held_out : float
        The share of the entries that are held out, between 0 and 1.
    patience : int
        How many steps without progress on them end the fit.
    jitter : float
        Standard deviation of the noise that is added to the input of the network in each step, over that of n.
    average : float
        Decay of the running mean of the images, from 0 (the last image) to below 1.
    width, levels : int
        Of the `Hourglass`; small images have fewer levels.
    seed : int
        Everything random follows from it.

    Raises
    ------
    ArgumentError
        If a number is out of its bounds.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, *Deep image prior*, CVPR 2018, arXiv:1711.10925. Yaman, Hosseini, Akcakaya, *Zero-shot
    self-supervised learning for MRI reconstruction*, ICLR 2022, arXiv:2102.07737, for stopping by held-out
    measurements.

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Mask(torch.ones(1, 1, 16, 16)), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(1, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    >>> DeepImagePrior(max_steps=3, width=4, levels=2)(y, physics).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self,
        max_steps: int = 1500,
        learning_rate: float = 0.01,
        *,
        held_out: float = 0.1,
        patience: int = 200,
        jitter: float = 1.0,
        average: float = 0.97,
        width: int = 32,
        levels: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_counts("DeepImagePrior", max_steps=max_steps, patience=patience, width=width, levels=levels)
        check_whole("DeepImagePrior", "seed", seed, least=0)
        if not 0 < held_out < 1:
            raise ArgumentError(f"DeepImagePrior expects held_out between 0 and 1, got {held_out}.")
        if not (learning_rate > 0 and jitter >= 0 and 0 <= average < 1):
            raise ArgumentError(
                "DeepImagePrior expects a learning_rate above 0, a jitter of at least 0, and an average of at least 0 "
                f"and below 1, got {learning_rate}, {jitter} and {average}."
            )
        self.max_steps, self.learning_rate, self.held_out, self.patience = max_steps, learning_rate, held_out, patience
        self.jitter, self.average, self.width, self.levels, self.seed = jitter, average, width, levels, seed

    def forward(self, y: Tree, physics: Physics, callback: Progress | None = None) -> Tensor:
        """Reconstruct images.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator; also one of DeepInverse.
        callback : callable, optional
            Called as `callback(step, steps)` after each step, with as many steps as all images together may take.

        Returns
        -------
        Tensor, shape (B, C, H, W)
            Without a gradient.

        Raises
        ------
        UnsupportedError
            If the operator is not linear, or images are not (B, C, H, W).
        SolverError
            If a fit runs into a NaN or an infinity.
        """
        with torch.inference_mode(mode=False), torch.enable_grad():
            y = tree_map(lambda leaf: leaf.detach().clone(), y)
            operator = as_physics(physics, y).linear_operator
            images, count = [], len(tree_leaves(y)[0])
            for index in range(count):
                own = of_images(operator, index, index + 1)
                mine = tree_map(lambda leaf: leaf[index : index + 1], y)  # noqa: B023
                images.append(self._fitted(mine, own, _offset(callback, index, count)))
        return torch.cat(images)

    def _fitted(self, y: Tree, operator: LinearOperator, callback: Progress | None) -> Tensor:
        problem = self._posed(y, operator)
        method = _Fit(self.max_steps, self.learning_rate, self.patience, self.jitter, self.average)
        solution = run(
            method,
            problem,
            method.init(problem),
            check_every=_CHECK_EVERY,
            callback=None if callback is None else lambda step, _: callback(step, method.max_steps) and None,
        )
        return solution.state.x

    def _posed(self, y: Tree, operator: LinearOperator) -> _Problem:
        with torch.no_grad():
            like = smooth_start(LeastSquares(operator, y))
        if like.ndim != 4:
            raise UnsupportedError(f"DeepImagePrior makes images (B, C, H, W), got shape {tuple(like.shape)}.")
        white = like.abs().amax()
        generators = streams(torch.Generator().manual_seed(self.seed), "weights", "input", "split", "jitter")
        channels = like.shape[1] * (2 if like.is_complex() else 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generators["weights"].initial_seed())
            network = Hourglass(self.width, channels, self.width, levels=_levels(like, self.levels))
        size = norm(y)
        return _Problem(
            network=network.to(like.device, like.real.dtype),
            source=uniform_like(like.real.new_empty(1, self.width, *like.shape[-2:]), generators["input"]),
            operator=operator,
            y=y,
            kept=tree_map(lambda leaf: uniform_like(leaf.real, generators["split"]) >= self.held_out, y),
            white=torch.where(white > 0, white, 1),
            size=torch.where(size > 0, size, 1),
            is_complex=like.is_complex(),
            generator=torch.Generator(like.device).manual_seed(generators["jitter"].initial_seed()),
        )


@dataclass(frozen=True, eq=False)
class _Problem:
    """A network, its input, and what its images must explain: the kept entries of y, in units of the norm of y."""

    network: nn.Module
    source: Tensor
    operator: LinearOperator
    y: Tree
    kept: Tree
    white: Tensor
    size: Tensor
    is_complex: bool
    generator: torch.Generator

    def image(self, weights: Mapping[str, Tensor], source: Tensor) -> Tensor:
        """Return the image that the network makes."""
        made = functional_call(self.network, dict(weights), (source,))
        return self.white * (channels_to_complex(made) if self.is_complex else made)

    def misfit(self, predicted: Tree, *, held_out: bool) -> Tensor:
        """Return the squared error over the kept or the held-out entries, relative to the size of y, (1,)."""
        residual = tree_map(lambda p, y, kept: (p - y) * (kept != held_out), predicted, self.y, self.kept)
        return (norm(residual) / self.size).square()


class _State(NamedTuple):
    """The best mean image, the bookkeeping of the driver, the weights with their moments, and the running means."""

    x: Tensor
    active: Tensor
    failure: Tensor
    weights: dict[str, Tensor]
    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    mean: Tensor
    predicted: Tree
    error: Tensor
    stale: Tensor
    step: int


@dataclass(frozen=True)
class _Fit:
    """Adam on the weights, with the image that explains the held-out entries best as its answer."""

    max_steps: int
    learning_rate: float
    patience: int
    jitter: float
    average: float

    def init(self, problem: _Problem) -> _State:
        weights = {name: weight.detach() for name, weight in problem.network.named_parameters()}
        with torch.no_grad():
            image = problem.image(weights, problem.source)
            predicted = problem.operator(image)
        zeros = tuple(torch.zeros_like(weight) for weight in weights.values())
        error = torch.full_like(problem.size, torch.inf)
        return _State(
            x=image,
            active=torch.ones_like(error, dtype=torch.bool),
            failure=torch.zeros_like(error, dtype=torch.int64),
            weights=weights,
            first=zeros,
            second=zeros,
            mean=image,
            predicted=predicted,
            error=error,
            stale=torch.zeros_like(error, dtype=torch.int64),
            step=0,
        )

    def step(self, problem: _Problem, state: _State) -> _State:
        weights = {name: weight.requires_grad_() for name, weight in state.weights.items()}
        spread = self.jitter * problem.source.std()
        source = problem.source + spread * normal_like(problem.source, problem.generator)
        image = problem.image(weights, source)
        predicted = problem.operator(image)
        slopes = torch.autograd.grad(problem.misfit(predicted, held_out=False).sum(), list(weights.values()))
        with torch.no_grad():
            return self._moved(problem, state, slopes, image.detach(), predicted)

    def _moved(
        self, problem: _Problem, state: _State, slopes: tuple[Tensor, ...], image: Tensor, predicted: Tree
    ) -> _State:
        step, decay = state.step + 1, min(self.average, state.step / (state.step + 1))
        mean = torch.lerp(image, state.mean, decay)
        predicted = tree_map(lambda new, old: torch.lerp(new.detach(), old, decay), predicted, state.predicted)
        error = problem.misfit(predicted, held_out=True)
        better = error < state.error
        stale = torch.where(better, 0, state.stale + 1)
        first = tuple(torch.lerp(g, m, _BETAS[0]) for g, m in zip(slopes, state.first, strict=True))
        second = tuple(torch.lerp(g.square(), v, _BETAS[1]) for g, v in zip(slopes, state.second, strict=True))
        rate = self.learning_rate * (1 - _BETAS[1] ** step) ** 0.5 / (1 - _BETAS[0] ** step)
        tiny = _TINY * (1 - _BETAS[1] ** step) ** 0.5
        moves = (-rate * m / (v.sqrt() + tiny) for m, v in zip(first, second, strict=True))
        return _State(
            x=torch.where(better.view(1, 1, 1, 1), mean, state.x),
            active=state.active & (stale < self.patience),
            failure=state.failure,
            weights={name: (w + move).detach() for (name, w), move in zip(state.weights.items(), moves, strict=True)},
            first=first,
            second=second,
            mean=mean,
            predicted=predicted,
            error=torch.where(better, error, state.error),
            stale=stale,
            step=step,
        )


def _levels(x: Tensor, most: int) -> int:
    """Return how many times images can be halved: the coarsest scale has at least four pixels a side."""
    return max(1, min(most, (min(x.shape[-2:]) // 4).bit_length() - 1))


def _offset(callback: Progress | None, index: int, count: int) -> Progress | None:
    """Return a callback that counts the steps of one image among those of all."""
    if callback is None:
        return None
    return lambda step, steps: callback(index * steps + step, count * steps)
