"""Measurement files: what is written is read again, whatever the physics; what is damaged is told in one sentence."""

import json
import struct

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.contracts.noise_cases import CASES
from wellposed import noise, operators
from wellposed.core.errors import ArgumentError, DTypeError, FormatError, ShapeError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.core.tree import tree_leaves, tree_map
from wellposed.data import load_measurements, save_measurements
from wellposed.operators.examples import EXAMPLES
from wellposed.physics import Physics

NOISES = {
    "NoNoise": noise.NoNoise,
    "Gaussian": lambda: noise.Gaussian(0.1),
    "composition": lambda: noise.Gaussian(torch.tensor([0.2])) @ noise.Gaussian(0.3),
}
DESCRIBED = [name for name in EXAMPLES if not name.startswith("FromFunctions")]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def image_of(physics, seed=0):
    rng = generator(seed)
    return tree_map(lambda leaf: torch.rand(leaf.shape, generator=rng).to(leaf), physics.operator.zero_image())


def same(a, b):
    leaves = zip(tree_leaves(a), tree_leaves(b), strict=True)
    return all(one.dtype == two.dtype and torch.equal(one, two) for one, two in leaves)


def classes(module):
    return [type(part) for part in module.modules()]


def blur():
    kernel = torch.rand(2, 1, 3, 3, generator=generator())
    return Physics(operators.Blur(kernel, (1, 6, 5)), noise.Gaussian(torch.tensor([0.1, 0.2])))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "y.safetensors"


@pytest.fixture
def saved(path):
    """Return a healthy file."""
    physics = blur()
    save_measurements(path, physics(torch.ones(2, 1, 6, 5), generator=generator()), physics)
    return path


def edited(path, change=lambda description: description, drop=()):
    """Write the file again with a changed description, or without some tensors."""
    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["wellposed"])
        tensors = {name: file.get_tensor(name) for name in file.keys() if name not in drop}  # noqa: SIM118
    changed = change(description)
    text = changed if isinstance(changed, str) else json.dumps(changed)
    save_file(tensors, path, metadata={"wellposed": text})
    return path


@pytest.mark.parametrize("noise_name", NOISES)
@pytest.mark.parametrize("operator", DESCRIBED)
def test_physics_comes_back_whole(path, operator, noise_name):
    """S11, L14, O20: every operator and composition is rebuilt with its parameters, and draws the same measurements."""
    physics = Physics(EXAMPLES[operator](), NOISES[noise_name]())
    x = image_of(physics)
    y = physics(x, generator=generator(1))
    save_measurements(path, y, physics)
    y_read, physics_read = load_measurements(path)
    assert same(y_read, y)
    assert classes(physics_read) == classes(physics)
    assert physics_read.params.keys() == physics.params.keys()
    assert all(same(physics_read.params[name], value) for name, value in physics.params.items())
    assert same(physics_read(x, generator=generator(1)), y)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_noise_comes_back(path, case):
    parts = [operators.Identity((2, 3, 4)) for _ in range(case.parts)]
    operator = parts[0] if case.parts == 1 else operators.Stack(parts)
    physics = Physics(operator, case.make())
    x = torch.linspace(0.1, 2, 24).view(1, 2, 3, 4)
    y = physics(x, generator=generator(1))
    save_measurements(path, y, physics)
    _, physics_read = load_measurements(path)
    assert classes(physics_read) == classes(physics)
    assert same(physics_read(x, generator=generator(1)), y)


@pytest.mark.parametrize("name", DESCRIBED)
def test_double_precision_comes_back(path, name):
    """complex128, which safetensors has not, included; and the precision of an operator without parameters."""
    physics = Physics(EXAMPLES[name](), noise.NoNoise()).to(torch.float64)
    x = image_of(physics)
    y = physics(x)
    save_measurements(path, y, physics)
    y_read, physics_read = load_measurements(path)
    assert same(y_read, y)
    assert physics_read.operator.dtype == torch.float64
    assert same(physics_read(x), y)


def test_nested_tuples_come_back_as_tuples(path):
    parts = operators.Stack((operators.Identity((1, 2, 2)), operators.Mask(torch.ones(1, 1, 2, 2), (1, 2, 2))))
    physics = Physics(operators.Stack((parts, operators.Crop((1, 2, 2), (0, 1), (1, 1)))))
    y = physics(torch.arange(4.0).view(1, 1, 2, 2))
    save_measurements(path, y, physics)
    y_read, _ = load_measurements(path)
    assert isinstance(y_read, tuple)
    assert isinstance(y_read[0], tuple)
    assert same(y_read, y)
    with safe_open(path, framework="pt") as file:
        assert {"y.0.0", "y.0.1", "y.1"} <= set(file.keys())


def test_user_classes_are_named_by_the_reader(path):
    physics = Physics(Doubled((1, 2, 2)))
    y = physics(torch.ones(1, 1, 2, 2))
    save_measurements(path, y, physics)
    _, physics_read = load_measurements(path, types=(Doubled,))
    assert type(physics_read.operator) is Doubled
    assert same(physics_read(torch.ones(1, 1, 2, 2)), y)
    with pytest.raises(FormatError, match=r"types=\(MyOperator,\): unknown type 'Doubled'"):
        load_measurements(path)


class Doubled(operators.LinearOperator):
    def __init__(self, image_shape):
        super().__init__(image_shape, image_shape)

    def _forward(self, x):
        return 2 * x


def test_views_and_trainable_parameters_are_saved_by_value(path):
    """Expanded, conjugated and shared tensors, and gradients, are nothing a file should know."""
    kernel = torch.nn.Parameter(torch.full((1, 1, 2, 2), 0.25))
    y = torch.rand(1, 1, 1, 4, generator=generator()).expand(3, 2, 5, 4)
    physics = Physics(operators.Blur(kernel, (2, 6, 5)))
    save_measurements(path, y, physics)
    y_read, physics_read = load_measurements(path)
    assert same(y_read, y)
    assert y_read.is_contiguous()
    assert not physics_read.operator.kernel.requires_grad
    assert torch.equal(physics_read.operator.kernel, kernel)
    spectrum = torch.complex(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)).conj()
    mask = torch.ones(1, 1, 4, 4)
    both = Physics(operators.Sum((operators.CartesianMRI(mask, (1, 4, 4)),) * 2))
    save_measurements(path, spectrum, both)
    assert same(load_measurements(path)[0], spectrum.resolve_conj())


def test_measurements_and_physics_are_left_as_they_were(saved, path):
    y, physics = load_measurements(saved)
    before = y.clone(), physics.operator.kernel.clone()
    save_measurements(path, y, physics)
    assert same((y, physics.operator.kernel), before)


def test_nan_is_kept(path):
    """The file is a record; whoever reconstructs from it refuses."""
    y = torch.tensor([[[[float("nan"), 1.0]]]])
    save_measurements(path, y, Physics(operators.Identity((1, 1, 2))))
    assert load_measurements(path)[0].isnan().tolist() == [[[[True, False]]]]


def test_file_says_what_it_is(saved):
    with safe_open(saved, framework="pt") as file:
        description = json.loads(file.metadata()["wellposed"])
    assert (description["format"], description["version"]) == ("wellposed measurements", 1)
    assert description["operator"]["type"] == "Blur"


def test_file_may_be_read_by_whom_the_system_lets(saved):
    """The writer of safetensors itself gives files to their owner alone."""
    plain = saved.with_name("plain.txt")
    plain.write_text("", encoding="utf-8")
    assert saved.stat().st_mode == plain.stat().st_mode


def test_device_is_honoured(saved):
    y, physics = load_measurements(saved, device="meta")
    assert y.device.type == physics.operator.kernel.device.type == physics.noise.sigma.device.type == "meta"


def test_a_failed_write_leaves_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(UnsupportedError):
        save_measurements(saved, torch.ones(1, 1, 4, 3), Physics(EXAMPLES["FromFunctions"]()))
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


def identity():
    return Physics(operators.Identity((1, 2, 2)))


@pytest.mark.parametrize(
    ("y", "physics", "error", "sentence"),
    [
        (torch.ones(1, 2, 2), identity(), ShapeError, "add the batch axis"),
        (torch.ones(1, 1, 3, 2), identity(), ShapeError, r"\(B, 1, 2, 2\), got \(1, 1, 3, 2\)"),
        (torch.ones(1, 1, 2, 2, dtype=torch.int64), identity(), DTypeError, "floating-point measurements"),
        ((torch.ones(1, 1, 2, 2),), identity(), DTypeError, "torch.Tensor, got tuple"),
        (torch.ones(3, 1, 4, 3), blur(), ShapeError, "parameters for 2 images .* batches of 3"),
        (torch.ones(1, 1, 4, 4), Physics(EXAMPLES["CartesianMRI"]()), DTypeError, "complex measurements"),
        (
            torch.ones(1, 1, 4, 3),
            Physics(EXAMPLES["FromFunctions"]()),
            UnsupportedError,
            "forward_function is a function",
        ),
        (torch.ones(1, 1, 2, 2), operators.Identity((1, 2, 2)), ArgumentError, "expects a Physics, got Identity"),
    ],
)
def test_what_does_not_fit_is_not_written(path, y, physics, error, sentence):
    with pytest.raises(error, match=sentence):
        save_measurements(path, y, physics)
    assert not path.exists()


def test_parts_of_different_batches_are_not_written(path):
    physics = Physics(operators.Stack((operators.Identity((1, 2, 2)),) * 2))
    with pytest.raises(ShapeError, match="batches of 1, 2"):
        save_measurements(path, (torch.ones(1, 1, 2, 2), torch.ones(2, 1, 2, 2)), physics)


@pytest.mark.parametrize(
    ("name", "error", "sentence"),
    [
        ("y.png", FormatError, r"written to a \.safetensors file"),
        ("missing/y.safetensors", MissingFileError, "no such folder"),
    ],
)
def test_names_that_cannot_be_written(tmp_path, name, error, sentence):
    with pytest.raises(error, match=sentence):
        save_measurements(tmp_path / name, torch.ones(1, 1, 2, 2), identity())


def with_field(**fields):
    return lambda description: {**description, **fields}


def without(field):
    return lambda description: {name: value for name, value in description.items() if name != field}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            with_field(version=2, library="9.9"),
            r"by a newer wellposed \(9.9, format 2, where this one reads up to 1\)",
        ),
        (with_field(version="one"), "damaged description: its version is 'one'"),
        (with_field(version=0), "damaged description: its version is 0"),
        (with_field(version=True), "damaged description: its version is True"),
        (lambda _: "[" * 100_000, r"has a damaged description \(maximum recursion depth"),
        (lambda _: "1" * 5000, r"has a damaged description \(Exceeds the limit"),
        (with_field(operator={"type": {"a": 1}, "arguments": {}}), "unknown type"),
        (with_field(format="other"), "does not say 'wellposed measurements'"),
        (without("noise"), "it lacks noise"),
        (lambda description: json.dumps(description)[:-9], "has a damaged description"),
        (lambda _: [1], "does not say 'wellposed measurements'"),
        (with_field(y={"tensor": "z"}), "names a tensor 'z'"),
        (with_field(y=[]), "is damaged"),
        (with_field(y=3), "is damaged"),
        (with_field(operator={"type": "Blurr", "arguments": {}}), "unknown type 'Blurr'; did you mean 'Blur'"),
        (with_field(operator={"type": "Blur", "arguments": {}}), "is damaged"),
        (with_field(operator={"type": "Gaussian", "arguments": {"sigma": 0.1}}), "unknown type 'Gaussian'"),
        (with_field(operator=None), "is damaged"),
        (with_field(operator={"type": "LinearOperator", "arguments": {}}), "is damaged"),
        (with_field(noise={"type": "Gaussian", "arguments": {"sigma": -1.0}}), "sigma >= 0"),
        (with_field(complex128=["y"]), "is damaged"),
        (with_field(complex128=["z"]), "is damaged"),
        (with_field(complex128=7), "is damaged"),
    ],
)
def test_damaged_descriptions(saved, change, sentence):
    with pytest.raises(FormatError, match=sentence) as caught:
        load_measurements(edited(saved, change))
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("name", ["y", "operator.kernel", "noise.sigma"])
def test_lost_tensors(saved, name):
    with pytest.raises(FormatError, match=f"names a tensor '{name}'"):
        load_measurements(edited(saved, drop=(name,)))


def test_measurements_that_do_not_fit_the_physics(saved):
    with pytest.raises(FormatError, match=r"y\.safetensors is damaged: .*Blur expects measurements of shape"):
        load_measurements(edited(saved, with_field(y={"tensor": "operator.kernel"})))


def test_measurements_that_are_integers(saved):
    with safe_open(saved, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    save_file({**tensors, "y": tensors["y"].long()}, saved, metadata=metadata)
    with pytest.raises(FormatError, match=r"is damaged: .* expects floating-point measurements"):
        load_measurements(saved)


@pytest.mark.parametrize(
    "size", [-1, 0, 1.5, 1e308, 10**30, "4", True, [3, 4], {}, {"tensor": "y"}, {"complex": [1, 2]}, {"complex": 5}]
)
def test_sizes_that_are_none(saved, size):
    """What stands for a size in a damaged file is never handed to the operator's arithmetic."""

    def spoil(description):
        description["operator"]["arguments"]["image_shape"][0] = size
        return description

    with pytest.raises(FormatError, match="is damaged") as caught:
        load_measurements(edited(saved, spoil))
    assert len(str(caught.value)) < 400 + len(str(saved))


@pytest.mark.parametrize("length", [0, 4, 60, -4])
def test_truncated_files(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(FormatError, match="not a measurement file, or it is truncated"):
        load_measurements(saved)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + b"0" * 99, struct.pack("<Q", 2) + b"[]"])
def test_files_that_are_not_safetensors(path, content):
    path.write_bytes(content)
    with pytest.raises(FormatError, match="not a measurement file"):
        load_measurements(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_of_others(path, metadata):
    save_file({"weight": torch.ones(2)}, path, metadata=metadata)
    with pytest.raises(FormatError, match="no measurement file"):
        load_measurements(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(MissingFileError, match="no such file"):
        load_measurements(tmp_path / "y.safetensors")
    with pytest.raises(FormatError, match="is a folder"):
        load_measurements(tmp_path)
