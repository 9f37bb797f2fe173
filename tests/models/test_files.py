"""Models in files: what was saved comes back, and everything else is one clear sentence."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

import wellposed as wp
from tests.models.denoiser_cases import CASES
from tests.support.tensors import random_tensor
from wellposed.core.errors import FormatError, UnsupportedError
from wellposed.core.files import MissingFileError
from wellposed.models import (
    MODELS,
    RAM,
    AlgorithmStep,
    Anscombe,
    ArtifactRemoval,
    DeepImagePrior,
    DnCNN,
    DPIRStep,
    DRUNet,
    E2EVarNet,
    Equilibrium,
    Equivariant,
    FieldOfExperts,
    Hourglass,
    HQSStep,
    KSpaceStep,
    LISTAStep,
    MoDLStep,
    NormUNet,
    PDNet,
    Tiled,
    Unrolled,
    VarNetStep,
    load_model,
    load_weights,
    read_weights,
    save_model,
)

PHYSICS = wp.Physics(wp.operators.Downsample(2, image_shape=(1, 8, 8)).double(), wp.noise.Gaussian(0.1))
IMAGE = random_tensor(1, 1, 8, 8)
SMALL = IMAGE[..., :4, :4]
SCANNER = wp.Physics(
    wp.operators.CartesianMRI(
        torch.ones(1, 1, 1, 8).double(), (1, 8, 8), random_tensor(2, 8, 8, dtype=torch.complex128)
    )
)
K_SPACE = random_tensor(1, 2, 8, 8, dtype=torch.complex128)


def denoised(case):
    return lambda model: model(case.image(1, 1, 9, 7), 0.2)


EXAMPLES = {name: (case.make, denoised(case)) for name, case in CASES.items()} | {
    "Anscombe": (lambda: Anscombe(CASES["DRUNet"].make(), peak=2.0), lambda model: model(IMAGE.abs(), 0.1, 0.2)),
    "ArtifactRemoval": (
        lambda: ArtifactRemoval(CASES["UNet"].make(), mode="pinv"),
        lambda model: model(IMAGE[..., :4, :4], PHYSICS),
    ),
    "PDNet": (
        lambda: PDNet(n_iter=2, n_memory=3, width=4).double(),
        lambda model: model(IMAGE[..., :4, :4], PHYSICS),
    ),
    "RAM": (lambda: RAM("small", krylov=False), lambda model: model.denoise(IMAGE.float(), sigma=0.1)),
    "Tiled": (
        lambda: Tiled(CASES["DnCNN"].make(), size=80, overlap=16),
        lambda model: model(IMAGE.repeat(1, 1, 11, 1), 0.1),
    ),
    "Equivariant-shifts": (
        lambda: Equivariant(CASES["DnCNN"].make(), "shifts", "average"),
        lambda model: model(IMAGE[..., :4, :4]),
    ),
}


def unrolled(model):
    return Unrolled(model, 2)(SMALL, PHYSICS)


def denoiser():
    return CASES["DRUNet"].make()


EXAMPLES |= {
    "AlgorithmStep": (lambda: AlgorithmStep(denoiser(), sigma=(0.1, 0.2)).double(), unrolled),
    "DPIRStep": (lambda: DPIRStep(denoiser(), 2, level=1.5).double(), unrolled),
    "DeepImagePrior": (
        lambda: DeepImagePrior(max_steps=2, width=4, levels=1, seed=3),
        lambda model: model(SMALL, PHYSICS),
    ),
    "E2EVarNet": (
        lambda: E2EVarNet(2, 2, 1, map_width=2, map_levels=1).double(),
        lambda model: model(K_SPACE, SCANNER),
    ),
    "Equilibrium": (
        lambda: Equilibrium(HQSStep(denoiser()).double(), throw=False, max_steps=3),
        lambda model: model(SMALL, PHYSICS),
    ),
    "FieldOfExperts": (lambda: FieldOfExperts(1, 2, 3, 4).double(), lambda model: model(IMAGE)),
    "HQSStep": (lambda: HQSStep(denoiser(), gamma=2.0, start="zero").double(), unrolled),
    "Hourglass": (lambda: Hourglass(1, 2, 4, levels=1).double(), lambda model: model(IMAGE)),
    "KSpaceStep": (
        lambda: KSpaceStep(NormUNet(width=2, levels=1), output="rss").double(),
        lambda model: Unrolled(model, 2)(K_SPACE, SCANNER),
    ),
    "LISTAStep": (lambda: LISTAStep((1, 8, 8), (1, 4, 4)).double(), unrolled),
    "MoDLStep": (lambda: MoDLStep(denoiser(), weight=0.3).double(), unrolled),
    "NormUNet": (lambda: NormUNet(width=2, levels=1).double(), lambda model: model(K_SPACE[:, :1])),
    "Unrolled": (
        lambda: Unrolled(HQSStep(denoiser(), sigma=(0.1, 0.2)), 2, tied=False, momentum=0.5, memory="invert").double(),
        lambda model: model(SMALL, PHYSICS),
    ),
    "VarNetStep": (lambda: VarNetStep(FieldOfExperts(1, 2, 3, 4)).double(), unrolled),
}


def small():
    return DnCNN(channels=1, width=4, depth=3)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, small())
    return path


def rewritten(path, edit):
    """Rewrite the description of a model file."""
    raw = path.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    description = json.loads(header["__metadata__"]["wellposed"])
    edit(description)
    header["__metadata__"]["wellposed"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


def test_every_model_has_an_example():
    """A new model without one would escape the round trip."""
    assert {type(build()).__name__ for build, _ in EXAMPLES.values()} == set(MODELS)


@pytest.mark.parametrize(("build", "run"), EXAMPLES.values(), ids=EXAMPLES)
def test_what_is_saved_comes_back(build, run, tmp_path):
    """The same class, precision and outputs, without a draw from the user's random numbers."""
    model, path = build(), tmp_path / "model.safetensors"
    save_model(path, model)
    state = torch.random.get_rng_state()
    loaded = load_model(path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (type(loaded), loaded.training, model.training) == (type(model), False, True)
    assert torch.equal(run(loaded), run(model))
    assert all(weight.requires_grad for weight in loaded.parameters())


def test_channels_last_weights_are_saved(tmp_path):
    model = small().to(memory_format=torch.channels_last)
    save_model(tmp_path / "a.safetensors", model)
    assert torch.equal(load_model(tmp_path / "a.safetensors").in_conv.weight, model.in_conv.weight)


def test_the_description_is_json_in_the_header(saved):
    seen = []
    rewritten(saved, seen.append)
    assert seen[0]["model"] == {"type": "DnCNN", "arguments": {"channels": 1, "width": 4, "depth": 3, "bias": True}}


def test_a_failed_save_leaves_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(UnsupportedError, match=r"Equivariant\.denoiser is a function, which cannot be written"):
        save_model(saved, Equivariant(lambda x, _: x))
    with pytest.raises(UnsupportedError, match=r"is a Linear, which cannot be written to a file; known: AlgorithmStep"):
        save_model(saved, torch.nn.Linear(2, 2))
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_files_of_other_kinds_raise(saved, tmp_path):
    with pytest.raises(FormatError, match=r"written to a \.safetensors file, got .*model\.pt"):
        save_model(tmp_path / "model.pt", small())
    with pytest.raises(MissingFileError, match="no such file"):
        load_model(tmp_path / "absent.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(FormatError, match="but no model file: load_weights reads"):
        load_model(tmp_path / "foreign.safetensors")
    y = tmp_path / "y.safetensors"
    wp.save_measurements(y, IMAGE, wp.Physics(wp.operators.Identity((1, 8, 8)).double()))
    with pytest.raises(FormatError, match="does not say 'wellposed model'"):
        load_model(y)


@pytest.mark.parametrize("kept", [0, 5, 100, -1], ids=["nothing", "length", "header", "all but one"])
def test_truncated_files_raise(saved, kept):
    saved.write_bytes(saved.read_bytes()[:kept])
    for read in (load_model, read_weights):
        with pytest.raises(FormatError, match="truncated"):
            read(saved)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda d: d.update(version=99), "made by a newer wellposed .*format 99, where this one reads up to 1"),
        (lambda d: d.update(version="1"), "damaged description: it lacks its version"),
        (lambda d: d.pop("model"), "damaged description: it lacks"),
        (lambda d: d["model"].update(type="DnCN"), "unknown model 'DnCN'; did you mean 'DnCNN'"),
        (lambda d: d["model"]["arguments"].update(layers=3), "layers"),
        (lambda d: d["model"]["arguments"].update(depth=1), "depth of at least 2"),
        (lambda d: d["model"].pop("arguments"), "arguments"),
        (lambda d: d.update(model=3), "describes no model"),
        (lambda d: d["model"]["arguments"].update(width=5), r"in_conv.weight is \(4, 1, 3, 3\) where \(5, 1, 3, 3\)"),
    ],
)
def test_damaged_descriptions_raise(saved, edit, words):
    rewritten(saved, edit)
    with pytest.raises(FormatError, match=words):
        load_model(saved)


WRAPPERS = {
    "alone": lambda state: state,
    "state_dict": lambda state: {"epoch": 3, "state_dict": state},
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params": {}, "params_ema": state},
    "model": lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    "parallel": lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_published_checkpoints_are_unwrapped(wrap, tmp_path):
    source, target = small(), small().double()
    torch.save(wrap(source.state_dict()), tmp_path / "published.pth.tar")
    load_weights(target, tmp_path / "published.pth.tar")
    for name, tensor in source.state_dict().items():
        assert torch.equal(target.state_dict()[name], tensor.double())


def test_safetensors_are_checkpoints_too(saved):
    assert read_weights(saved).keys() == small().state_dict().keys()


def test_weights_that_do_not_fit_name_the_first_differences_and_change_nothing(tmp_path):
    """Shapes, missing and surplus tensors; three of them, and how many more."""
    torch.save(DRUNet(channels=1, widths=(4, 8), blocks=1).state_dict(), tmp_path / "drunet.pth")
    model = small()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(
        FormatError, match=r"not fit DnCNN: in_conv\.weight is missing; in_conv\.bias is missing; .*; and 13 more\."
    ):
        load_weights(model, tmp_path / "drunet.pth")
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    surplus = {**small().state_dict(), "tail.weight": torch.ones(1)}
    torch.save(surplus, tmp_path / "surplus.pth")
    with pytest.raises(FormatError, match=r"DnCNN: tail\.weight is not a tensor of this model\."):
        load_weights(model, tmp_path / "surplus.pth")
    torch.save(DnCNN(channels=3, width=4, depth=3).state_dict(), tmp_path / "colour.pth")
    with pytest.raises(FormatError, match=r"in_conv\.weight is \(4, 3, 3, 3\) where \(4, 1, 3, 3\) is expected"):
        load_weights(model, tmp_path / "colour.pth")


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("code in a checkpoint was run",))


def test_checkpoints_with_code_are_refused_unread(tmp_path):
    torch.save({"state_dict": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(FormatError, match="no checkpoint of tensors alone"):
        load_weights(small(), tmp_path / "bomb.pth")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"\x80\x02}", b"not a checkpoint", bytes(range(256))], ids=repr
)
def test_what_is_no_checkpoint_raises(content, tmp_path):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(FormatError, match="or it is truncated"):
        read_weights(tmp_path / "a.pth")


def test_truncated_checkpoints_raise(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(small().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FormatError, match="or it is truncated"):
        read_weights(path)


@pytest.mark.parametrize("content", [[1.0], {}, {"a": 1.0}, {"state_dict": {"a": "b"}}, torch.ones(1)], ids=str)
def test_checkpoints_without_named_tensors_raise(content, tmp_path):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(FormatError, match="holds no tensors by name"):
        read_weights(tmp_path / "a.pth")
