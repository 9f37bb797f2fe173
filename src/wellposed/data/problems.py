"""What a trainer consumes: problems that give batches of measurements, their physics and, where known, the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree
from wellposed.data.random_phase import random_phase
from wellposed.data.task import Task
from wellposed.physics import Physics

__all__ = ["Batch", "CropSource", "FixedProblem", "PairProblem", "PairSource", "Problem", "SimulatedProblem"]


class Batch(NamedTuple):
    """Measurements, the physics that made them, and the images they were made of, or None where nobody knows them."""

    y: Tree
    physics: Physics
    x: Tensor | None


@runtime_checkable
class Problem(Protocol):
    """A source of training batches."""

    @property
    def name(self) -> str:
        """What it is called in logs and tables."""
        ...

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw `count` images: measurements, physics, and the truth or None."""
        ...


class CropSource(Protocol):
    """Anything that gives random crops as `ImageStore` does."""

    def crops(self, count: int, size: int, *, generator: torch.Generator | None, augment: bool, grey: bool) -> Tensor:
        """Return images (count, C, size, size) in [0, 1]."""
        ...


class PairSource(Protocol):
    """Anything that holds stored measurements as `PairTensors` and `PairFile` do."""

    def __len__(self) -> int: ...

    def take(self, indices: Tensor) -> Batch:
        """Return some of the pairs, in the order asked for."""
        ...


@final
@dataclass(frozen=True)
class SimulatedProblem:
    """Measurements simulated on the fly: random crops, random phase where images are complex, random physics.

    Parameters
    ----------
    name : str
    images : ImageStore or another CropSource
    task : Task
    size : int
        Height and width of the crops.
    augment : bool
        Turn and mirror crops.
    grey : bool
        Use the luminance of colours; tasks for grey or complex images do so in any case.
    phase : float
        Root mean square of the smooth random phase of complex images, in radians.

    Examples
    --------
    >>> from wellposed.data import ImageStore, get_task
    >>> store = ImageStore.from_tensors([torch.rand(3, 40, 50)])
    >>> problem = SimulatedProblem("inpaint", store, get_task("random-inpaint"), size=32)
    >>> y, physics, x = problem.batch(4, generator=torch.Generator().manual_seed(0))
    >>> y.shape, x.shape
    (torch.Size([4, 3, 32, 32]), torch.Size([4, 3, 32, 32]))
    """

    name: str
    images: CropSource
    task: Task
    size: int = 128
    augment: bool = True
    grey: bool = False
    phase: float = 1.0

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw crops and their measurements; all draws are made where the generator lies.

        Raises
        ------
        ShapeError
            If the task cannot be applied to crops of this size.
        """
        grey = self.grey or self.task.images in ("grey", "complex")
        x = self.images.crops(count, self.size, generator=generator, augment=self.augment, grey=grey)
        if self.task.images == "complex":
            x = random_phase(x, std=self.phase, generator=generator)
        x = self.task.fit(x)
        y, physics = self.task.sample(x, generator=generator)
        return Batch(y, physics, x)


@final
@dataclass(frozen=True)
class PairProblem:
    """Stored measurements, with or without the truth: `PairTensors` in memory, or a `PairFile` that is streamed.

    Parameters
    ----------
    name : str
    pairs : PairTensors, PairFile or another PairSource

    Examples
    --------
    >>> import wellposed as wp
    >>> from wellposed.data import PairTensors
    >>> physics = wp.Physics(wp.operators.Identity((1, 8, 8)), wp.noise.Gaussian(0.1))
    >>> problem = PairProblem("scans", PairTensors(torch.rand(6, 1, 8, 8), physics))
    >>> batch = problem.batch(4, generator=torch.Generator().manual_seed(0))
    >>> batch.y.shape, batch.x is None
    (torch.Size([4, 1, 8, 8]), True)
    """

    name: str
    pairs: PairSource

    def batch(self, count: int, *, generator: torch.Generator) -> Batch:
        """Draw pairs at random, with replacement."""
        check_whole("batch", "count", count, least=1)
        indices = torch.randint(len(self.pairs), (count,), generator=generator, device=generator.device)
        return self.pairs.take(indices)


@final
@dataclass(frozen=True)
class FixedProblem:
    """The same images and the same measurements each time: what training is validated on.

    Draws come from a generator of the CPU with a seed of its own, so that they are the same on every device.

    Parameters
    ----------
    problem : Problem
        Where the batches come from; without augmentation, as a rule.
    count : int
        Number of images altogether.
    batch_size : int
        Most images in one batch.
    seed : int
    margin : int
        Pixels along each border that are not scored, such as those that a blur measures in part.

    Raises
    ------
    ArgumentError
        If a number is out of its range.

    Examples
    --------
    >>> from wellposed.data import ImageStore, get_task
    >>> store = ImageStore.from_tensors([torch.rand(1, 40, 50)])
    >>> problem = SimulatedProblem("denoise", store, get_task("denoise-easy"), size=16)
    >>> [len(batch.y) for batch in FixedProblem(problem, count=5, batch_size=4)]
    [4, 1]
    """

    problem: Problem
    count: int = 16
    batch_size: int = 16
    seed: int = 0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.count < 1 or self.batch_size < 1:
            raise ArgumentError(f"FixedProblem expects images, got count {self.count}, batch_size {self.batch_size}.")
        if self.margin < 0:
            raise ArgumentError(f"FixedProblem expects a margin of at least 0, got {self.margin}.")

    @property
    def name(self) -> str:
        """The name of the problem."""
        return self.problem.name

    def __iter__(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(self.seed)
        for start in range(0, self.count, self.batch_size):
            yield self.problem.batch(min(self.batch_size, self.count - start), generator=generator)
