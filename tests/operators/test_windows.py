"""Windows of local operators: away from their ends they are the operator itself, also across the ends of the image."""

import pytest
import torch

from tests.support.tensors import assert_same, random_tensor
from wellposed.core.errors import UnsupportedError
from wellposed.operators import (
    BayerMosaic,
    Blur,
    CartesianMRI,
    Downsample,
    FromFunctions,
    Identity,
    Mask,
    SpectralResponse,
    Stack,
)
from wellposed.operators._windows import Region, cut, cut_tree, grid_step, window

HEIGHT, WIDTH = 48, 40
SIZE = (3, HEIGHT, WIDTH)
X = random_tensor(1, *SIZE)
KERNEL = random_tensor(1, 1, 4, 3, seed=1)
MASK = random_tensor(1, 1, HEIGHT, WIDTH, seed=2)

MIDDLE = Region(torch.arange(8, 40), torch.arange(8, 32))
FIRST = Region(torch.tensor([*range(24), *range(32, 48)]), torch.tensor([*range(16), *range(24, 40)]))
LAST = Region(torch.tensor([*range(16), *range(24, 48)]), torch.arange(WIDTH))

LOCAL = {
    "Identity": Identity(SIZE).double(),
    "Mask": Mask(MASK, SIZE),
    "SpectralResponse": SpectralResponse(random_tensor(1, 2, 3), SIZE),
    "BayerMosaic": BayerMosaic(SIZE, "GRBG").double(),
    "Downsample": Downsample(2, SIZE, random_tensor(1, 1, 4, 4)),
    **{f"Blur, {padding}": Blur(KERNEL, SIZE, padding) for padding in ("valid", "circular", "reflect", "zero")},
    "Blur, replicate": Blur(KERNEL, SIZE, "replicate", method="fft"),
    "Scaled": 3 * Mask(MASK, SIZE),
    "Compose": Downsample(2, SIZE, random_tensor(1, 1, 4, 4)) @ Blur(KERNEL, SIZE, "reflect"),
    "Sum": Mask(MASK, SIZE) + Blur(KERNEL, SIZE, "circular"),
}


def inner_of(position, ends):
    """Return where in a window nothing is missing: four pixels from its artificial ends and from its gap."""
    good = torch.ones(len(position), dtype=torch.bool)
    jumps = [place for place in range(1, len(position)) if position[place] - position[place - 1] != 1]
    breaks = jumps + ([] if ends else [0, len(position)])
    for place in breaks:
        good[max(0, place - 4) : place + 4] = False
    return good


def whole(index, length):
    """Tell whether both ends of a window are those of the image."""
    return index[0] == 0 and index[-1] == length - 1


@pytest.mark.parametrize("region", [MIDDLE, FIRST, LAST], ids=["middle", "first", "last"])
@pytest.mark.parametrize("name", LOCAL)
def test_a_window_measures_what_the_image_does(name, region):
    """Where the window has all the neighbours that count."""
    A = LOCAL[name]
    part, seen = window(A, region)
    expected, got = cut(A(X), seen), part(cut(X, region))
    assert got.shape == expected.shape
    full = A.measurement_shape
    rows = inner_of(seen.rows, whole(seen.rows, full[1]))
    columns = inner_of(seen.columns, whole(seen.columns, full[2]))
    assert rows.sum() > 0
    assert columns.sum() > 0
    assert_same(got[..., rows, :][..., columns], expected[..., rows, :][..., columns])


def test_windows_of_a_tuple():
    A = Stack((Downsample(4, SIZE).double(), Mask(MASK, SIZE)))
    part, seen = window(A, MIDDLE)
    small, large = cut_tree(A(X), seen)
    assert torch.equal(small, A(X)[0][..., 2:10, 2:8])
    assert torch.equal(large, A(X)[1][..., 8:40, 8:32])
    assert part.measurement_shape == ((3, 8, 6), (3, 32, 24))


@pytest.mark.parametrize("pattern", ["RGGB", "BGGR", "GRBG", "GBRG"])
@pytest.mark.parametrize("corner", [(0, 1), (1, 0), (1, 1)])
def test_a_mosaic_may_begin_anywhere(pattern, corner):
    A = BayerMosaic(SIZE, pattern).double()
    region = Region(*(torch.arange(first, first + 6) for first in corner))
    part, seen = window(A, region)
    assert_same(part(cut(X, region)), cut(A(X), seen))


def test_windows_keep_their_distance():
    assert grid_step(Mask(MASK)) == 1
    assert grid_step(3 * (Downsample(2, (3, 24, 20)) @ Downsample(2, SIZE))) == 4
    assert grid_step(Stack((Downsample(2, (3, 24, 24)), Downsample(3, (3, 24, 24))))) == 6
    assert grid_step(BayerMosaic(SIZE) + BayerMosaic(SIZE)) == 2


@pytest.mark.parametrize(
    "A", [CartesianMRI(MASK, (1, HEIGHT, WIDTH)), FromFunctions(abs, abs, SIZE, SIZE)], ids=["MRI", "functions"]
)
def test_what_is_not_local_is_refused(A):
    with pytest.raises(UnsupportedError, match=f"{type(A).__name__} is not known to be local.*whole image"):
        window(A, MIDDLE)
