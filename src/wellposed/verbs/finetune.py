"""`wp.finetune`: a network learns from the very measurements that it shall reconstruct, without the truth."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from wellposed.core.arguments import check_finite, check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.shapes import check_tensor
from wellposed.core.tree import Tree, tree_leaves
from wellposed.losses import L2, Choice, Knowledge, Loss, choose_loss
from wellposed.models.base import Denoiser
from wellposed.models.weights import load
from wellposed.physics import Physics, as_physics
from wellposed.training.denoising import Denoising
from wellposed.training.fine_tuning import FineTuned, Progress, fine_tune, lesson
from wellposed.training.options import Options

__all__ = ["FineTuned", "Progress", "default_steps", "finetune"]

logger = logging.getLogger("wellposed")

_STEPS = 40
_LOOKS = 12
_PATIENCE = 5
_BATCH = 4
_EMA = 0.8


def finetune(
    model: nn.Module | str | Path,
    y: Tree,
    physics: Physics,
    *,
    loss: Loss | None = None,
    noise: Knowledge = "known",
    x: Tensor | None = None,
    steps: int | None = None,
    learning_rate: float = 1e-4,
    batch: int | None = None,
    patience: int | None = _PATIENCE,
    seed: int = 0,
    max_minutes: float | None = None,
    callback: Callable[[Progress], None] | None = None,
    report: Callable[[FineTuned], None] | None = None,
) -> nn.Module:
    r"""Return a copy of a network that has learnt from measurements, one or hundreds, without true images.

    The loss is chosen from what is known about noise and operator, as `choose_loss` says; the logger "wellposed" tells
    which and why at level INFO, and `report` is told too. Some of the measurements are kept back, as `hold_out` does,
    and score the moving average of the weights as it goes, as `wellposed.training.fine_tune` says: the best step is
    kept, the given model among them, and without progress it stops early. The same seed gives the same weights. Ctrl-C
    ends it with the best step so far.

    A network that learnt by a loss which draws its input at test too, such as `R2R`, is used as
    `wellposed.losses.adapted_for_test(loss, network)`; those that are chosen here serve as they are, but for `R2R`.

    Parameters
    ----------
    model : nn.Module, str or Path
        ``x_hat = model(y, physics)``, or a `Denoiser` where the operator is the identity; or the name of weights or a
        model file. It stays as it is.
    y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
    physics : Physics
        How the measurements came about; the operator and the level of the noise may differ from one to the next.
    loss : Loss, optional
        Instead of the one that is chosen.
    noise : {"known", "unknown level", "unknown"}
        What is known about the noise: all that the physics says, its family alone, or only that it is independent from
        number to number and of mean zero.
    x : Tensor, shape (B, *image_shape), optional
        The truth, where it is known: then the loss is `L2`, but for one that is given. The score does not look at it.
    steps : int, optional
        At most; by default as many as `default_steps` says.
    learning_rate : float
        Of Adam, at first; it falls to a tenth.
    batch : int, optional
        Measurements a step; by default four, or all if there are fewer.
    patience : int, optional
        Stop after so many of the scores, twelve altogether, in a row that are not better; None: never.
    seed : int
    max_minutes : float, optional
    callback : callable, optional
        Called with a `Progress` after each score.
    report : callable, optional
        Called once, at the end, with a `FineTuned`: the loss and why it was chosen, the scores, the best step.

    Returns
    -------
    nn.Module
        In evaluation mode.

    Raises
    ------
    ArgumentError
        If the measurements hold NaN or infinity, the model has nothing to train, or a number makes no sense.
    UnsupportedError
        If no loss suits the noise, nothing can be kept back, or a denoiser gets another operator than the identity.
    ShapeError, DTypeError
        If the measurements do not fit the physics or the model.
    TrainingError
        If something is not finite.

    References
    ----------
    Terris et al., *Reconstruct Anything Model: a lightweight foundation model for computational imaging*, 2025,
    arXiv:2503.08915, section 4.2 and appendix D.

    Examples
    --------
    >>> import torch, wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.full((1, 1, 32, 32), 0.5), generator=torch.Generator().manual_seed(0))
    >>> denoiser = wp.models.DenoiserTiny(channels=1, widths=(4, 8), blocks=1)
    >>> tuned = wp.finetune(denoiser, y, physics, steps=5, learning_rate=1e-2)
    >>> type(tuned).__name__, tuned is denoiser
    ('DenoiserTiny', False)
    """
    network = load(model) if isinstance(model, (str, Path)) else model
    if not any(weight.requires_grad for weight in network.parameters()):
        raise ArgumentError(
            f"finetune expects a model with weights, and {type(network).__name__} has nothing to train."
        )
    for leaf in tree_leaves(y):
        check_tensor("finetune", "measurements", leaf)
        check_finite("the measurements", leaf)
    physics = as_physics(physics, y)
    chosen = _chosen(loss, y, physics, noise, x, is_denoiser=isinstance(network, Denoiser))
    logger.info("finetune: %s", chosen.why)
    tuned = fine_tune(
        Denoising(network) if isinstance(network, Denoiser) else network,
        lesson(y, physics, x, noise_is_known=noise == "known", seed=seed),
        chosen.loss,
        _options(len(tree_leaves(y)[0]), steps, learning_rate, batch, patience, seed),
        why=chosen.why,
        max_minutes=max_minutes,
        callback=callback,
    )
    if isinstance(tuned.model, Denoising):
        tuned = replace(tuned, model=tuned.model.denoiser)
    if report is not None:
        report(tuned)
    return tuned.model


def default_steps(measurements: int) -> int:
    """Return how many steps `finetune` takes at most: 40 for one measurement, as many more whenever they double.

    Examples
    --------
    >>> default_steps(1), default_steps(8), default_steps(100)
    (40, 160, 306)
    """
    return round(_STEPS * (1 + math.log2(max(measurements, 1))))


def _chosen(
    loss: Loss | None, y: Tree, physics: Physics, noise: Knowledge, x: Tensor | None, *, is_denoiser: bool
) -> Choice:
    if loss is not None:
        return Choice(loss, "the loss was given.")
    if x is not None:
        return Choice(L2(), "L2, as the truth is given.")
    return choose_loss(y, physics, noise=noise, denoiser=is_denoiser)


def _options(
    measurements: int, steps: int | None, learning_rate: float, batch: int | None, patience: int | None, seed: int
) -> Options:
    steps = default_steps(measurements) if steps is None else steps
    check_whole("finetune", "steps", steps, least=1)
    return Options(
        steps=steps,
        batch=min(_BATCH, measurements) if batch is None else batch,
        learning_rate=learning_rate,
        schedule="cosine",
        final_ratio=0.1,
        clip=1.0,
        ema=_EMA,
        seed=seed,
        validate_every=max(steps // _LOOKS, 1),
        patience=patience,
    )
