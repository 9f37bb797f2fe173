"""The transforms that the contract is run on: at least one for every public class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wellposed import transforms
from wellposed.transforms import Transform


@dataclass(frozen=True)
class Case:
    """A transform, images that it acts on, and whether it moves pixels onto pixels."""

    make: Callable[..., Transform]
    exact: bool
    shape: tuple[int, ...] = (3, 2, 32, 32)


CASES = {
    "Shift": Case(transforms.Shift, exact=True, shape=(3, 2, 5, 7)),
    "Shift-near": Case(lambda **k: transforms.Shift(limit=0.25, **k), exact=True, shape=(3, 2, 8, 12)),
    "TimeShift": Case(transforms.TimeShift, exact=True, shape=(3, 2, 5, 3, 4)),
    "Reflect": Case(transforms.Reflect, exact=True, shape=(3, 2, 5, 7)),
    "Reflect-vertical": Case(lambda **k: transforms.Reflect(horizontal=False, **k), exact=True, shape=(3, 2, 5, 7)),
    "Permute": Case(transforms.Permute, exact=True, shape=(3, 2, 3, 4)),
    "Permute-channels": Case(lambda **k: transforms.Permute(of="channels", **k), exact=True, shape=(3, 5, 3, 4)),
    "Rotate": Case(transforms.Rotate, exact=True, shape=(3, 2, 5, 5)),
    "Rotate-half": Case(lambda **k: transforms.Rotate(order=2, **k), exact=True, shape=(3, 2, 5, 7)),
    "Rotate-volume": Case(transforms.Rotate, exact=True, shape=(3, 1, 2, 4, 4)),
    "Rotate-sixths": Case(lambda **k: transforms.Rotate(order=6, **k), exact=False),
    "Rotate-free": Case(lambda **k: transforms.Rotate(order=None, limit=1.0, **k), exact=False),
    "Scale": Case(lambda **k: transforms.Scale(limit=1.3, **k), exact=False),
    "Homography": Case(
        lambda **k: transforms.Homography(tilt=0.1, roll=1.0, border="zeros", **k), exact=False, shape=(3, 2, 32, 40)
    ),
    "Diffeomorphism": Case(transforms.Diffeomorphism, exact=False, shape=(3, 2, 40, 32)),
    "Compose": Case(
        lambda **k: transforms.Compose(transforms.Rotate(**k), transforms.Shift(**k)), exact=True, shape=(3, 2, 5, 5)
    ),
    "Compose-mixed": Case(
        lambda **k: transforms.Compose(transforms.Scale(limit=1.2, **k), transforms.Reflect(**k)), exact=False
    ),
}
