"""One call of `Trainer.run`: steps, and between them logs, validations and checkpoints."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from wellposed.core.errors import TrainingError
from wellposed.core.names import optional_import
from wellposed.data.images import write_image
from wellposed.losses import Loss, adapted_for_test
from wellposed.training.checkpoint import (
    Checkpoint,
    kept_whole,
    read_checkpoint,
    write_checkpoint,
    write_light,
    write_network,
)
from wellposed.training.folder import check_recipe
from wellposed.training.journal import Journal
from wellposed.training.network import InPrecision
from wellposed.training.plan import plan
from wellposed.training.schedule import learning_rate_at
from wellposed.training.stepper import Stepper
from wellposed.training.stop import Reason, StopRequests
from wellposed.training.validation import Examined, Validation

if TYPE_CHECKING:
    from wellposed.training.trainer import Trainer

__all__ = ["Outcome", "Report", "Run"]

_logger = logging.getLogger("wellposed")


@final
@dataclass(frozen=True)
class Report:
    """How far a run has come.

    Parameters
    ----------
    step, steps : int
        Steps done, of how many.
    minutes : float
        Since the first step, without the time between legs.
    learning_rate : float
    losses : mapping of str to float
        Mean loss of each problem since the report before, without weights.
    gradient_norm : float
        Mean length of the gradient, before it is shortened.
    crops_per_second : float
        Images trained on, by all processes together.
    psnr : mapping of str to float
        The newest validation, in decibels.
    """

    step: int
    steps: int
    minutes: float
    learning_rate: float
    losses: Mapping[str, float]
    gradient_norm: float
    crops_per_second: float
    psnr: Mapping[str, float]


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a run.

    Parameters
    ----------
    model : nn.Module
        With the averaged weights, in evaluation mode.
    reason : {"finished", "time", "interrupted", "early"}
        Why it ended: all steps done, the minutes given used up, a signal, no more progress.
    step, images : int
        Steps done and images trained on, since the beginning.
    minutes : float
    crops_per_second : float
        Of this call.
    before, after : mapping of str to float
        PSNR of each validation problem when this call began and when it ended, in decibels.
    best : float, optional
        The best mean of them so far; None without validation.
    best_step : int
    loss : Loss
        As it was at the end: a copy, whose `companions` are learnt.
    """

    model: nn.Module = field(repr=False)
    reason: Reason
    step: int
    images: int
    minutes: float
    crops_per_second: float
    before: Mapping[str, float]
    after: Mapping[str, float]
    best: float | None
    best_step: int
    loss: Loss


@dataclass
class _Facts:
    """The numbers of a run that a checkpoint keeps."""

    step: int = 0
    images: int = 0
    minutes: float = 0.0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    rewarmed_at: int | None = None
    psnr: dict[str, float] = field(default_factory=dict)


@final
class Run:
    """The state of one call.

    Parameters
    ----------
    trainer : Trainer
    accelerator : accelerate.Accelerator
    device : torch.device
    stop : StopRequests
    callback : callable, optional
    """

    def __init__(
        self,
        trainer: Trainer,
        accelerator: Any,
        device: torch.device,
        stop: StopRequests,
        callback: Callable[[Report], None] | None,
    ) -> None:
        self._trainer, self._options = trainer, trainer.options
        self._accelerator, self._device = accelerator, device
        self._stop, self._callback = stop, callback
        self._names = [exercise.problem.name for exercise in trainer.exercises]
        self._stepper = Stepper(trainer.model, trainer.exercises, trainer.loss, self._options, accelerator, device)
        self._validation = Validation(trainer.validation, self._options.validation_batch, device)
        self._facts = _Facts()
        self._pending: list[Tensor] = []
        self._rows: list[list[float]] = []
        self._seconds, self._images = 0.0, 0
        self._journal: Journal | None = None
        self._last: Report | None = None

    def go(self, *, resume: bool | str | Path) -> Outcome:
        """Take up the run where it is, train, and return what became of it."""
        options, facts = self._options, self._facts
        self._begin(resume=resume)
        first_image, began = facts.images, facts.minutes
        if not facts.psnr:
            self._validate(counts=True)
        before = facts.psnr
        validated_at, reason = facts.step, None
        self._clock = time.monotonic()
        while facts.step < options.steps and (reason := self._why_stop()) is None:
            self._advance()
            if facts.step % options.log_every == 0:
                self._report()
            if facts.step % options.validate_every == 0:
                self._validate(counts=True)
                validated_at = facts.step
            if facts.step % options.checkpoint_every == 0 and facts.step < options.steps:
                self._keep()
        self._report()
        if reason != "interrupted" and validated_at != facts.step:
            self._validate(counts=False)
        self._keep()
        if self._journal is not None:
            self._journal.close()
        seconds = 60 * (facts.minutes - began)
        return Outcome(
            self._stepper.average.released(),
            reason or "finished",
            facts.step,
            facts.images,
            facts.minutes,
            (facts.images - first_image) / seconds if seconds else 0.0,
            before,
            facts.psnr,
            facts.best,
            facts.best_step,
            self._stepper.loss,
        )

    def _begin(self, *, resume: bool | str | Path) -> None:
        folder, is_path = self._trainer.folder, not isinstance(resume, bool)
        there = folder is not None and any(folder.glob("checkpoint.safetensors"))
        there = there or (folder is not None and any(folder.glob("light-*.safetensors")))
        if there and not resume:
            raise TrainingError(f"{folder} holds a run already: resume it, or name another folder.")
        if there or is_path:
            source = folder if there else resume
            checkpoint = read_checkpoint(source)  # type: ignore[arg-type]
            if there and folder is not None:
                check_recipe(folder, checkpoint.facts["recipe"], self._recipe())
            self._take_up(checkpoint, str(source))
        if folder is not None and self._accelerator.is_main_process:
            start, tensorboard = self._facts.step, self._options.tensorboard
            with kept_whole(folder / "train.csv"):
                self._journal = Journal(
                    folder, self._names, self._validation.names, start=start, tensorboard=tensorboard
                )

    def _take_up(self, checkpoint: Checkpoint, source: str) -> None:
        facts = self._facts
        for name in asdict(facts):
            setattr(facts, name, checkpoint.facts[name])
        _logger.info("training goes on from step %d of %s.", facts.step, source)
        if not self._stepper.restore(checkpoint):
            facts.rewarmed_at = facts.step
            _logger.info(
                "the state of the optimiser was not kept: the learning rate rises again over %d steps.",
                self._options.rewarm,
            )

    def _advance(self) -> None:
        facts, options = self._facts, self._options
        rate = learning_rate_at(facts.step, options, rewarmed_at=facts.rewarmed_at)
        self._pending.append(self._stepper.advance(facts.step, rate))
        images = sum(part.images for part in plan(facts.step, self._trainer.exercises, options))
        facts.images += images
        self._images += images
        facts.step += 1

    def _read(self) -> None:
        """Fetch from the device what the last steps brought, and stop if a number is not finite."""
        if not self._pending:
            return
        rows = torch.stack(self._pending).tolist()
        first = self._facts.step - len(rows)
        self._pending = []
        for offset, row in enumerate(rows):
            wrong = [
                name for name, value in zip([*self._names, "gradient"], row, strict=True) if not math.isfinite(value)
            ]
            overflow = wrong == ["gradient"] and self._options.precision == "fp16"
            if wrong and not overflow:
                raise TrainingError(self._not_finite(first + offset, wrong[0]))
        self._rows += rows
        now = time.monotonic()
        self._seconds += now - self._clock
        self._facts.minutes += (now - self._clock) / 60
        self._clock = now

    def _report(self) -> None:
        """Write a row of the log about the steps since the one before."""
        self._read()
        if not self._rows:
            return
        facts, options = self._facts, self._options
        first = facts.step - len(self._rows)
        losses: dict[str, list[float]] = {name: [] for name in self._names}
        for offset, row in enumerate(self._rows):
            for index in {part.exercise for part in plan(first + offset, self._trainer.exercises, options)}:
                losses[self._names[index]].append(row[index])
        report = Report(
            facts.step,
            options.steps,
            facts.minutes,
            learning_rate_at(facts.step - 1, options, rewarmed_at=facts.rewarmed_at),
            {name: fmean(values) for name, values in losses.items() if values},
            fmean(row[-1] for row in self._rows),
            self._images / self._seconds if self._seconds else 0.0,
            facts.psnr,
        )
        self._rows, self._seconds, self._images = [], 0.0, 0
        if self._journal is not None:
            with kept_whole(self._folder / "train.csv"):
                self._journal.train(facts.step, _row_of(report))
        self._last = report
        self._tell(report)

    def _validate(self, *, counts: bool) -> None:
        """Score the averaged weights and keep the best; `counts` for the validations that patience counts."""
        self._report()
        if not self._validation.names:
            return
        facts = self._facts
        examined = self._examined()
        facts.psnr = {name: entry.psnr for name, entry in examined.items()}
        mean = fmean(facts.psnr.values())
        is_better = facts.best is None or mean > facts.best
        if is_better:
            facts.best, facts.best_step = mean, facts.step
            self._write_best()
        if counts:
            facts.stale = 0 if is_better else facts.stale + 1
        if self._journal is not None:
            panels = {name: entry.panel for name, entry in examined.items()}
            row = {"minutes": facts.minutes, "psnr": mean, **{f"psnr/{name}": v for name, v in facts.psnr.items()}}
            with kept_whole(self._folder / "validation.csv"):
                self._journal.validation(facts.step, row, panels)
                self._write_panels(panels)
        if self._last is not None:
            self._tell(replace(self._last, psnr=facts.psnr))
        self._clock = time.monotonic()

    def _examined(self) -> dict[str, Examined]:
        """Score the validation problems, which the processes share."""
        processes = self._accelerator.num_processes
        network = adapted_for_test(
            self._stepper.loss, InPrecision(self._stepper.average.network, self._options.precision)
        )
        mine = range(self._accelerator.process_index, len(self._validation.names), processes)
        examined = {index: self._validation.examine(index, network) for index in mine}
        if processes > 1:
            examined = self._gathered(examined)
        return {self._validation.names[index]: examined[index] for index in sorted(examined)}

    def _gathered(self, examined: Mapping[int, Examined]) -> dict[int, Examined]:
        gather = optional_import("accelerate.utils", extra="train").gather_object
        return {index: entry for part in gather([examined]) for index, entry in part.items()}

    def _why_stop(self) -> Reason | None:
        """Return why to end now; several processes agree on it, at each row of the log."""
        if self._options.patience is not None and self._facts.stale >= self._options.patience:
            return "early"
        reason = self._stop.reason()
        if self._accelerator.num_processes == 1:
            return reason
        if self._facts.step % self._options.log_every:
            return None
        wishes = torch.tensor([reason == "interrupted", reason == "time"], device=self._device).float()
        interrupted, late = self._accelerator.reduce(wishes, reduction="sum").tolist()
        return "interrupted" if interrupted else "time" if late else None

    def _keep(self) -> None:
        """Write a checkpoint, of numbers that are all finite."""
        self._report()
        if self._trainer.folder is not None and self._accelerator.is_main_process:
            facts = {
                **asdict(self._facts),
                "recipe": self._recipe(),
                "wellposed": version("wellposed"),
                "torch": torch.__version__,
            }
            checkpoint = Checkpoint(self._stepper.tensors(), facts)
            write_checkpoint(self._folder / "checkpoint.safetensors", checkpoint)
            if self._options.light:
                write_light(self._folder, checkpoint)
            if not self._validation.names:
                self._write_best()
        self._clock = time.monotonic()

    def _recipe(self) -> dict[str, Any]:
        """Return what the weights follow from, as plain JSON."""
        trainer = self._trainer
        network = {name: list(weight.shape) for name, weight in trainer.model.state_dict().items()}
        description = {
            "model": type(trainer.model).__name__,
            "weights": hashlib.sha256(json.dumps(network).encode()).hexdigest()[:16],
            "problems": [[e.problem.name, e.batch, e.weight, e.margin] for e in trainer.exercises],
            "loss": repr(trainer.loss),
            "options": self._options.decisive(),
            "recipe": trainer.recipe,
        }
        return json.loads(json.dumps(description))

    def _write_best(self) -> None:
        if self._trainer.folder is not None and self._accelerator.is_main_process:
            network = self._stepper.average.network
            export = self._trainer.export
            write_network(self._folder / "best.safetensors", network if export is None else export(network))

    def _write_panels(self, panels: Mapping[str, Tensor]) -> None:
        if not self._options.panels:
            return
        folder = self._folder / "panels"
        folder.mkdir(exist_ok=True)
        for name, panel in panels.items():
            place = re.sub(r"[^\w.-]", "_", name)
            write_image(folder / f"{self._facts.step:08d}-{place}.png", panel[None])

    def _tell(self, report: Report) -> None:
        if self._callback is not None:
            self._callback(report)

    def _not_finite(self, step: int, where: str) -> str:
        source = "the gradient" if where == "gradient" else f"the loss of the problem {where!r}"
        kept = ""
        if self._trainer.folder is not None:
            kept = f" The last good checkpoint in {self._trainer.folder} is as it was."
        return (
            f"{source} is no longer finite at step {step}, and the weights stay as they were before it: lower the "
            f"learning rate, set clip, or look at what the problem gives.{kept}"
        )

    @property
    def _folder(self) -> Path:
        if self._trainer.folder is None:
            raise TrainingError("this run has no folder.")
        return self._trainer.folder


def _row_of(report: Report) -> dict[str, float]:
    return {
        "minutes": round(report.minutes, 4),
        "learning_rate": report.learning_rate,
        "gradient_norm": report.gradient_norm,
        "crops_per_second": round(report.crops_per_second, 2),
        "loss": fmean(report.losses.values()),
        **{f"loss/{name}": value for name, value in report.losses.items()},
    }
