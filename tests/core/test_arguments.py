"""What a caller may hand over instead of what the annotation says: one sentence for each."""

import os

import numpy as np
import pytest
import torch

import wellposed as wp
from wellposed.core.arguments import check_callable, check_counts, check_finite, check_whole
from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError, UnknownNameError
from wellposed.core.files import existing_file
from wellposed.core.rng import normal_like, streams
from wellposed.core.shapes import as_shape, fixed_shape

operators = wp.operators
KERNEL = torch.ones(1, 1, 3, 3)
SIZE = (3, 8, 8)


def test_whole_numbers_and_functions():
    check_whole("Downsample", "factor", 2, least=2)
    check_callable("FromFunctions", "the adjoint", abs)
    for value in (1, 2.0, "2", None):
        with pytest.raises(ArgumentError, match="Downsample expects factor to be a whole number of at least 2, got"):
            check_whole("Downsample", "factor", value, least=2)
    with pytest.raises(ArgumentError, match="expects the adjoint to be a function, got int"):
        check_callable("FromFunctions", "the adjoint", 3)


def test_counts_are_whole_and_above_zero():
    check_counts("UNet", channels=1, width=2)
    with pytest.raises(ArgumentError, match="UNet expects width to be a whole number of at least 1, got 0"):
        check_counts("UNet", channels=1, width=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), complex(0, float("-inf"))])
def test_what_is_not_finite_is_told(value):
    check_finite("the measurements", torch.ones(2), torch.ones(1))
    with pytest.raises(ArgumentError, match="the measurements hold NaN or infinity"):
        check_finite("the measurements", torch.ones(2), torch.tensor([0, value]))


def test_shapes_become_tuples():
    assert as_shape("A", "image", [3, None, 8]) == (3, None, 8)
    assert as_shape("A", "image", [[1, 2], (3,)]) == ((1, 2), (3,))
    assert fixed_shape("A", [None, 4, 5]) == (None, 4, 5)


@pytest.mark.parametrize("shape", [16, "a", (3, -1, 3), (3, "a", 3), (3, 16.0, 16), (3, 0, 2), (True, 2, 2), None])
def test_what_is_no_shape_is_refused(shape):
    with pytest.raises(ShapeError, match="Identity expects the shape of its images without the batch axis"):
        operators.Identity(shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda shape: operators.Blur(KERNEL, shape),
        lambda shape: operators.Downsample(2, shape),
        operators.BayerMosaic,
        lambda shape: operators.CartesianMRI(KERNEL, shape),
        lambda shape: operators.Crop(shape, (0, 0), (1, 1)),
        operators.FiniteDifferences,
    ],
)
@pytest.mark.parametrize("shape", [16, (3, None, 16), (3, 16.0, 16), ((3, 16, 16),)])
def test_sizes_in_space_are_needed(make, shape):
    with pytest.raises(ShapeError, match=r"\(3, 256, 256\)"):
        make(shape)


def test_windows_are_whole():
    with pytest.raises(ShapeError, match="Crop expects corner to be a tuple of whole numbers"):
        operators.Crop(SIZE, 1, (2, 2))
    with pytest.raises(ShapeError, match="Crop expects size to be a tuple of whole numbers"):
        operators.Crop(SIZE, (1, 1), (2.0, 2))


@pytest.mark.parametrize("kind", [operators.Stack, operators.Sum])
def test_compositions_need_operators(kind):
    A = operators.Identity(SIZE)
    with pytest.raises(ArgumentError, match=r"expects a tuple of linear operators.*got Identity"):
        kind(A)
    with pytest.raises(ArgumentError, match=r"got \(Identity, Physics\)"):
        kind((A, wp.Physics(A)))


def test_functions_must_keep_their_word():
    with pytest.raises(ArgumentError, match="the forward map to be a function"):
        operators.FromFunctions(None, abs, SIZE, SIZE)
    nothing = operators.FromFunctions(lambda x: x[..., 1:], lambda y: y, SIZE, SIZE)
    with pytest.raises(ShapeError, match=r"the forward function expects measurements of shape \(B, 3, 8, 8\)"):
        nothing(torch.ones(1, *SIZE))


@pytest.mark.parametrize("generator", [0, np.random.default_rng(0)])
def test_generators_are_those_of_torch(generator):
    for draw in (lambda: normal_like(torch.ones(2), generator), lambda: streams(generator, "noise")):
        with pytest.raises(DTypeError, match=r"expected a torch\.Generator, got .*manual_seed\(0\) makes one"):
            draw()


@pytest.mark.parametrize("value", ["a", None, [0.1]])
def test_parameters_are_numbers_or_tensors(value):
    with pytest.raises(DTypeError, match=r"Gaussian expects sigma to be a number or a torch\.Tensor"):
        wp.noise.Gaussian(value)


def test_names_are_strings():
    with pytest.raises(UnknownNameError, match="unknown method 3"):
        wp.reconstruct(torch.ones(1, 1, 2, 2), wp.Physics(operators.Identity()), 3)


@pytest.mark.parametrize("y", [np.ones((1, 1, 2, 2)), [1.0], None, "y"])
def test_measurements_are_tensors(y):
    with pytest.raises(DTypeError, match=r"reconstruct expects measurements to be a torch\.Tensor"):
        wp.reconstruct(y, wp.Physics(operators.Identity()))


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(FormatError, match="is a device or a pipe"):
        existing_file(tmp_path / "pipe.png")
