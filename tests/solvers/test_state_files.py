"""States in files: the same bits come back, into the classes of the same method, or a sentence."""

from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.files import MissingFileError
from wellposed.solvers import CG, MINRES, LinearSystem, load_state, save_state


class Inner(NamedTuple):
    vector: Tensor
    rate: float


class Outer(NamedTuple):
    x: Any
    active: Tensor
    failure: Tensor
    inner: Inner
    basis: tuple[Tensor, ...]
    nothing: None
    steps: int


def state(count=3):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, dtype=torch.complex128, generator=generator)
    basis = tuple(torch.randn(2, 3, generator=generator) for _ in range(count))
    inner = Inner(torch.tensor([0.0, -0.0, float("inf")]), float("inf"))
    return Outer((x, x.conj()), torch.tensor([True, False]), torch.zeros(2, dtype=torch.int64), inner, basis, None, 7)


def test_every_part_comes_back_to_the_bit(tmp_path):
    """A tuple may have grown since the state that tells the classes."""
    path, kept = tmp_path / "s.safetensors", state(count=3)
    save_state(path, kept)
    read = load_state(path, state(count=1))
    assert type(read) is Outer
    assert type(read.inner) is Inner
    assert (read.nothing, read.steps, read.inner.rate) == (None, 7, float("inf"))
    for one, other in zip([*read.x, *read.basis], [*kept.x, *kept.basis], strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert torch.equal(read.inner.vector.signbit(), kept.inner.vector.signbit())
    assert torch.equal(read.active, kept.active)


def test_the_state_of_another_method_is_refused(tmp_path):
    system = LinearSystem(lambda x: 2 * x, torch.ones(2, 8))
    save_state(tmp_path / "s.safetensors", CG().init(system))
    with pytest.raises(FormatError, match="holds a CGState where a MINRESState belongs"):
        load_state(tmp_path / "s.safetensors", MINRES().init(system))


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(MissingFileError):
        load_state(path, state())
    save_file({"x": torch.ones(2)}, path)
    with pytest.raises(FormatError, match="does not hold a state"):
        load_state(path, state())
    save_state(path, state())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FormatError, match="truncated"):
        load_state(path, state())


def test_what_cannot_be_kept_is_refused_before_a_file_is_made(tmp_path):
    with pytest.raises(FormatError, match=r"\.safetensors"):
        save_state(tmp_path / "s.pt", state())
    with pytest.raises(ArgumentError, match=r"got object \(state\.nothing\)"):
        save_state(tmp_path / "s.safetensors", state()._replace(nothing=object()))
    assert not list(tmp_path.iterdir())
