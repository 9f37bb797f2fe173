"""The trainer: a network, problems, a loss and options, and a run that can be stopped, killed and taken up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any, final

import torch
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.data.problems import FixedProblem, Problem
from wellposed.losses import L1, Loss
from wellposed.training.folder import held
from wellposed.training.options import Options
from wellposed.training.plan import Exercise
from wellposed.training.processes import accelerator
from wellposed.training.run import Outcome, Report, Run
from wellposed.training.stop import StopRequests

__all__ = ["Trainer"]


@final
class Trainer:
    r"""Train a reconstructor on one problem or on several at once.

    Each step draws a batch of every problem, with new images, physics and noise, and minimises

    .. math:: \frac1G \sum_g w_g \, \frac1B \sum_i \omega_{g, i}\, \ell\big(f_\theta(y_{g, i}, A_{g, i}), x_{g, i}\big)

    by Adam. A moving average of the weights is what is validated and kept.

    - **The same result, however it is computed.** The randomness of each part of each step follows from the seed and
      its place alone. So a run that was killed and resumed has the same losses and weights as one that was not, bit
      by bit on a CPU; and one that several processes share (`torchrun`, `accelerate launch`) the same up to rounding.
    - **A folder**, if one is given, holds `checkpoint.safetensors` (weights, average, optimiser, step; replaced only
      when the next one is whole), `best.safetensors` (a model file: the averaged weights with the best validation),
      `train.csv`, `validation.csv`, `panels/` (rows of backprojected measurements, reconstruction, truth), and the logs
      of TensorBoard where that is installed.
    - **A loss that is not finite** stops the run before anything is moved or kept; the weights of before stay.

    Parameters
    ----------
    model : nn.Module
        ``x_hat = model(y, physics)``. It is copied; `run` returns the trained one.
    problems : sequence of Problem or Exercise
        What to train on. An `Exercise` has a batch and a weight of its own.
    options : Options
    loss : Loss
        The mean absolute error by default.
    validation : sequence of Problem or FixedProblem
        Scored by PSNR before the first step, every `validate_every` steps and at the end.
    folder : str or Path, optional
        Where the run is kept; without it nothing is written.
    recipe : mapping, optional
        What else the run follows from, as plain JSON. A folder that was made with another recipe, or with other options
        on which the weights depend, is refused.
    export : callable, optional
        ``network = export(model)``: the part of the model that `best.safetensors` holds; by default all of it.

    Raises
    ------
    ArgumentError
        If there is no problem, two have one name, or the model cannot be trained.
    MissingDependencyError
        If Accelerate is not installed.

    Examples
    --------
    >>> import wellposed as wp
    >>> from wellposed.data.problems import Batch
    >>> class Denoising:
    ...     name = "denoising"
    ...
    ...     def batch(self, count, *, generator):
    ...         physics = wp.Physics(wp.operators.Identity(), wp.noise.Gaussian(0.1))
    ...         x = torch.rand(count, 1, 1, 1, generator=generator).expand(count, 1, 8, 8)
    ...         return Batch(physics(x, generator=generator), physics, x)
    >>> model = wp.models.ArtifactRemoval(wp.models.DnCNN(channels=1, depth=3, width=4))
    >>> options = Options(steps=5, batch=4, learning_rate=1e-3, device="cpu")
    >>> outcome = Trainer(model, [Denoising()], options, validation=[Denoising()]).run()
    >>> outcome.reason, outcome.step
    ('finished', 5)
    """

    def __init__(
        self,
        model: nn.Module,
        problems: Sequence[Problem | Exercise],
        options: Options,
        *,
        loss: Loss | None = None,
        validation: Sequence[Problem | FixedProblem] = (),
        folder: str | Path | None = None,
        recipe: Mapping[str, Any] | None = None,
        export: Callable[[nn.Module], nn.Module] | None = None,
    ) -> None:
        self.exercises = tuple(entry if isinstance(entry, Exercise) else Exercise(entry) for entry in problems)
        self.validation = tuple(validation)
        _check_names("problems", [exercise.problem.name for exercise in self.exercises])
        if not self.exercises:
            raise ArgumentError("Trainer expects at least one problem to train on, got none.")
        _check_names("validation problems", [problem.name for problem in self.validation])
        if not any(weight.requires_grad for weight in model.parameters()):
            raise ArgumentError(f"Trainer expects a model with weights to train, and {type(model).__name__} has none.")
        self.model = model
        self.options = options
        self.loss = L1() if loss is None else loss
        self.folder = None if folder is None else Path(folder)
        self.recipe = dict(recipe or {})
        self.export = export
        self._accelerator = accelerator()

    def run(
        self,
        *,
        resume: bool | str | Path = False,
        max_minutes: float | None = None,
        callback: Callable[[Report], None] | None = None,
    ) -> Outcome:
        """Train until the last step, the last minute, a signal, or until nothing improves any more.

        SIGINT (Ctrl-C) and SIGTERM end the run with a checkpoint; a second SIGINT at once.

        Parameters
        ----------
        resume : bool, str or Path
            True: go on from the folder's checkpoint, if it has one. A path: do the same, and where the folder has none
            take weights, average, step and, if it is there, the optimiser's state from that checkpoint, or from a
            folder with light ones, whatever recipe made them.
        max_minutes : float, optional
            Of this call.
        callback : callable, optional
            Called with a `Report` after each row of the log and each validation, in the first process.

        Returns
        -------
        Outcome

        Raises
        ------
        TrainingError
            If a loss is not finite, the folder is in use, was made with another recipe or is to be overwritten, or the
            disk is full.
        MissingFileError, FormatError
            If the checkpoint to resume from is missing or damaged.
        """
        if max_minutes is not None and not max_minutes > 0:
            raise ArgumentError(f"run expects max_minutes above 0, got {max_minutes}.")
        device = self._accelerator.device if self.options.device == "auto" else torch.device(self.options.device)
        is_first = self._accelerator.is_main_process
        with ExitStack() as stack:
            stack.enter_context(held(self.folder) if self.folder is not None and is_first else nullcontext())
            stack.enter_context(torch.random.fork_rng(_cuda_indices(device)))
            stop = stack.enter_context(StopRequests(max_minutes))
            self._accelerator.wait_for_everyone()
            run = Run(self, self._accelerator, device, stop, callback if is_first else None)
            return run.go(resume=resume)


def _check_names(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ArgumentError(f"Trainer expects {what} with names of their own, and {twice[0]!r} comes twice.")


def _cuda_indices(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []
