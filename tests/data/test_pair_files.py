"""Files of pairs: what was written comes back by index, whole or not at all, and damage is told."""

import json
import pickle

import h5py
import pytest
import torch
import zarr

from tests.support.tensors import seeded
from wellposed.core.errors import ArgumentError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.data import PairFile, get_task, write_pairs
from wellposed.noise import Gaussian, PerPart
from wellposed.operators import Blur, Identity, LinearOperator, Mask, Stack
from wellposed.physics import Physics

SUFFIXES = ["pairs.h5", "pairs.hdf5", "pairs.zarr"]
every_format = pytest.mark.parametrize("name", ["pairs.h5", "pairs.zarr"])


def batches(task="random-inpaint", sizes=(3, 2, 1), channels=3, side=8, truth=True):
    problem, generator = get_task(task), seeded(0)
    for count in sizes:
        x = problem.fit(torch.rand(count, channels, side, side, generator=generator))
        yield (*problem.sample(x, generator=generator), x if truth else None)


@pytest.mark.parametrize("name", SUFFIXES)
def test_pairs_come_back_by_index(tmp_path, name):
    """Batches of three, two and one image, each with a mask and levels of its own."""
    written = list(batches())
    assert write_pairs(tmp_path / name, iter(written)) == 6
    file = PairFile(tmp_path / name)
    assert (len(file), file.has_truth) == (6, True)
    order = [4, 0, 5, 4]
    y, physics, x = file.take(order)
    assert torch.equal(x, torch.cat([batch[2] for batch in written])[order])
    assert torch.equal(y, torch.cat([batch[0] for batch in written])[order])
    for parameter, value in physics.params.items():
        assert torch.equal(value, torch.cat([batch[1].params[parameter] for batch in written])[order])
    assert torch.equal(file.take(torch.tensor([2])).x, written[0][2][2:])


@every_format
@pytest.mark.parametrize("task", ["random-denoise", "random-deblur", "random-sr2", "random-mri", "random-pansharpen"])
def test_every_kind_of_physics_is_kept(tmp_path, name, task):
    ((y, physics, x),) = batches(task, sizes=[2], side=32)
    write_pairs(tmp_path / name, [(y, physics, x)])
    same_y, same_physics, same_x = PairFile(tmp_path / name).take([0, 1])
    assert torch.equal(same_x, x)
    parts = zip(same_y, y, strict=True) if isinstance(y, tuple) else [(same_y, y)]
    assert all(torch.equal(read, written) for read, written in parts)
    expected = physics(x, generator=seeded(7))
    drawn = same_physics(same_x, generator=seeded(7))
    parts = zip(drawn, expected, strict=True) if isinstance(y, tuple) else [(drawn, expected)]
    assert all(torch.equal(read, written) for read, written in parts)


@every_format
def test_what_all_images_share_is_stored_once(tmp_path, name):
    physics = Physics(Blur(torch.rand(1, 1, 3, 3), (1, 6, 6)), Gaussian(0.25))
    write_pairs(tmp_path / name, [(torch.rand(4, 1, 4, 4), physics, None), (torch.rand(2, 1, 4, 4), physics, None)])
    group = h5py.File(tmp_path / name) if name.endswith("h5") else zarr.open_group(tmp_path / name)
    assert group["operator.kernel"].shape == (1, 1, 3, 3)
    assert group["y"].shape == (6, 1, 4, 4)
    file = PairFile(tmp_path / name)
    _, same, truth = file.take([5, 1])
    assert torch.equal(same.operator.kernel, physics.operator.kernel)
    assert (same.noise.sigma, truth, file.has_truth) == (0.25, None, False)


def test_a_parameter_of_all_images_fills_the_rows_of_its_batch(tmp_path):
    """The first batch has a mask for each of its images, the second one for both."""
    masks = torch.rand(3, 1, 2, 2), torch.rand(1, 1, 2, 2)
    pairs = [(torch.rand(n, 1, 2, 2), Physics(Mask(mask)), None) for n, mask in zip((3, 2), masks, strict=True)]
    write_pairs(tmp_path / "pairs.h5", pairs)
    mask = PairFile(tmp_path / "pairs.h5").take(range(5)).physics.operator.mask
    assert torch.equal(mask, torch.cat([*masks, masks[1]]))


@every_format
def test_all_pairs_fit_in_memory_and_processes(tmp_path, name):
    written = list(batches(sizes=(2, 2)))
    write_pairs(tmp_path / name, written)
    file = pickle.loads(pickle.dumps(PairFile(tmp_path / name)))
    memory = file.load()
    assert len(memory) == 4
    one, other = file.take([3, 1]), memory.take(torch.tensor([3, 1]))
    assert torch.equal(one.y, other.y)
    assert torch.equal(one.physics.operator.mask, other.physics.operator.mask)
    file.close()


@every_format
def test_double_precision_and_nested_measurements_are_kept(tmp_path, name):
    x = torch.rand(2, 1, 4, 4, dtype=torch.float64)
    operator = Stack((Identity((1, 4, 4)), Mask(torch.rand(2, 1, 4, 4, dtype=torch.float64))))
    physics = Physics(operator, PerPart((Gaussian(0.1), Gaussian(torch.tensor([0.2, 0.3]))))).double()
    y = physics(x)
    write_pairs(tmp_path / name, [(y, physics, x)])
    same, again, truth = PairFile(tmp_path / name).take([1])
    assert torch.equal(same[0], y[0][1:])
    assert torch.equal(same[1], y[1][1:])
    assert truth.dtype == torch.float64
    assert again.params["noises.1.sigma"].tolist() == physics.params["noises.1.sigma"][1:].tolist()


@every_format
def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path, name):
    """The second batch raises when the first one is written already."""

    def interrupted():
        yield from batches(sizes=[2])
        raise KeyboardInterrupt

    path = tmp_path / name
    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, interrupted())
    assert list(tmp_path.iterdir()) == []
    write_pairs(path, batches(sizes=[4]))
    with pytest.raises(KeyboardInterrupt):
        write_pairs(path, interrupted())
    assert len(PairFile(path)) == 4
    write_pairs(path, batches(sizes=[1]))
    assert len(PairFile(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


def mask_batch(mask, sigma=0.1, side=2, dtype=torch.float32):
    physics = Physics(Mask(mask), Gaussian(sigma)).to(dtype)
    return torch.ones(2, 1, side, side, dtype=dtype), physics, None


@pytest.mark.parametrize(
    ("second", "error", "sentence"),
    [
        (mask_batch(torch.ones(1, 1, 2, 2), sigma=0.2), ArgumentError, "another noise.sigma than before"),
        (mask_batch(torch.zeros(1, 1, 2, 2)), ArgumentError, "another operator.mask than before: give each image"),
        (mask_batch(torch.ones(1, 1, 3, 3), side=3), ArgumentError, "differ in the parameters of single images only"),
        ((torch.ones(2, 1, 2, 2), Physics(Identity((1, 2, 2))), None), ArgumentError, "single images only"),
        ((*mask_batch(torch.ones(1, 1, 2, 2))[:2], torch.ones(2, 1, 2, 2)), ArgumentError, "single images only"),
        (
            (torch.ones(2, 1, 5, 5), mask_batch(torch.ones(1, 1, 2, 2))[1], None),
            ShapeError,
            "Mask expects measurements",
        ),
        ((*mask_batch(torch.ones(1, 1, 2, 2))[:2], torch.ones(3, 1, 2, 2)), ShapeError, "2 measurements of 3 images"),
        ((torch.ones(2, 1, 2, 2), Identity((1, 2, 2)), None), ArgumentError, "expects a Physics, got Identity"),
    ],
)
def test_batches_that_do_not_belong_together_are_refused(tmp_path, second, error, sentence):
    with pytest.raises(error, match=sentence):
        write_pairs(tmp_path / "pairs.h5", [mask_batch(torch.ones(1, 1, 2, 2)), second])
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_size_or_type_are_refused(tmp_path):
    free = Physics(Identity())
    first = (torch.ones(2, 1, 3, 3), free, None)
    for other in (torch.ones(2, 1, 4, 4), torch.ones(2, 1, 3, 3, dtype=torch.float64)):
        with pytest.raises(ShapeError, match="all images of a file are of one size and dtype"):
            write_pairs(tmp_path / "pairs.h5", [first, (other, free, None)])
    with pytest.raises(UnsupportedError, match="bfloat16"):
        write_pairs(tmp_path / "pairs.h5", [(torch.ones(2, 1, 3, 3, dtype=torch.bfloat16), free, None)])


def test_paths_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"\.h5, \.hdf5 or in a folder \.zarr"):
        write_pairs(tmp_path / "pairs.npz", batches())
    with pytest.raises(FormatError, match=r"in a folder \.zarr"):
        PairFile(tmp_path / "pairs.npz")
    for name in ("nowhere.h5", "nowhere.zarr"):
        with pytest.raises(MissingFileError):
            PairFile(tmp_path / name)
        with pytest.raises(MissingFileError):
            write_pairs(tmp_path / "folder" / name, batches())
    with pytest.raises(ArgumentError, match="there is no batch"):
        write_pairs(tmp_path / "pairs.h5", [])
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(FormatError, match="is a file"):
        write_pairs(tmp_path / "file.zarr", batches())


@pytest.mark.parametrize("indices", [[], [6], [-1], [[0]]])
def test_indices_that_are_not_there_are_refused(tmp_path, indices):
    write_pairs(tmp_path / "pairs.h5", batches())
    with pytest.raises(ArgumentError, match="holds pairs 0 to 5, got the indices"):
        PairFile(tmp_path / "pairs.h5").take(indices)


class Doubling(LinearOperator):
    """An operator of one's own."""

    def __init__(self):
        super().__init__((1, None, None), (1, None, None))

    def _forward(self, x):
        return 2 * x


def test_operators_of_ones_own_are_named_to_be_read(tmp_path):
    write_pairs(tmp_path / "pairs.h5", [(torch.ones(1, 1, 2, 2), Physics(Doubling()), None)])
    with pytest.raises(FormatError, match=r"types=\(MyOperator,\)"):
        PairFile(tmp_path / "pairs.h5").take([0])
    physics = PairFile(tmp_path / "pairs.h5", types=[Doubling]).take([0]).physics
    assert type(physics.operator) is Doubling


def described(path, **changes):
    with h5py.File(path, "a") as file:
        file.attrs["wellposed"] = json.dumps(json.loads(file.attrs["wellposed"]) | changes)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:400]), "not an HDF5 file, or it is truncated"),
        (lambda path: path.write_bytes(b"x" * 4000), "not an HDF5 file"),
        (lambda path: described(path, format="other"), "does not say 'wellposed pairs'"),
        (lambda path: described(path, version=2), "made by a newer wellposed"),
        (lambda path: described(path, shared=["nothing"]), "lacks what its description names"),
        (lambda path: described(path, shared=None), "is damaged"),
        (lambda path: h5py.File(path, "a")["y"].resize(2, axis=0), r"its arrays are for \[2, 6\] images"),
        (lambda path: h5py.File(path, "a").__delitem__("y"), "does not fit its tensors"),
        (lambda path: h5py.File(path, "a").attrs.__delitem__("wellposed"), "damaged description"),
    ],
)
def test_damage_is_told(tmp_path, damage, sentence):
    path = tmp_path / "pairs.h5"
    write_pairs(path, batches())
    damage(path)
    with pytest.raises(FormatError, match=sentence):
        PairFile(path).take([0])


def test_a_folder_that_is_no_zarr_group_is_told(tmp_path):
    (tmp_path / "pairs.zarr").mkdir()
    with pytest.raises(FormatError, match="is not a Zarr group, or it is damaged"):
        PairFile(tmp_path / "pairs.zarr")
