"""Models with their weights: by name, from published and model files, in the constructor; or else one sentence."""

import hashlib
import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.models.weights.test_layouts import KairDnCNN
from tests.support.tensors import random_tensor
from wellposed.core.errors import ArgumentError, FormatError, UnknownNameError
from wellposed.core.files import MissingFileError
from wellposed.models import MODELS, RAM, ArtifactRemoval, DenoiserTiny, DnCNN, DRUNet, UNet, load_model, save_model
from wellposed.models.ram.model import _WIDTHS
from wellposed.models.weights import WEIGHTS, bundle, convert, fill, load, registry, verify

IMAGE = random_tensor(1, 1, 8, 8, dtype=torch.float32)
SMALL = {"channels": 1, "width": 4, "depth": 5, "bias": True}
TEXTS = {"licence": "BSD-3-Clause", "data": "noise", "recipe": "none", "use": "tests", "limits": "all else"}


@pytest.fixture
def published(tmp_path):
    """A checkpoint in the layout of KAIR, and the network that it is of."""
    torch.manual_seed(0)
    network = KairDnCNN(1, 4, 5)
    torch.save(network.state_dict(), tmp_path / "dncnn.pth")
    return tmp_path / "dncnn.pth", network


@pytest.fixture
def bundled(tmp_path, monkeypatch):
    """Return a function that adds a trained model to the package, as far as the registry can tell."""
    folder = tmp_path / "bundled"
    folder.mkdir()

    def add(model, name="mine-small", **values):
        entry = bundle(model, name, folder, **{**TEXTS, **values})
        monkeypatch.setattr(registry, "BUNDLED", folder)
        monkeypatch.setitem(registry.WEIGHTS, name, entry)
        return entry

    return add


def unchanged(model, action, error, words):
    """Run what must fail, and leave the model as it was."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(error, match=words):
        action()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@torch.no_grad()
def test_a_published_file_by_path(published):
    """The sizes are those of the tensors; nothing is drawn from the user's random numbers."""
    path, network = published
    state = torch.random.get_rng_state()
    model = load(path, model="DnCNN")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert ({name: getattr(model, name) for name in SMALL}, model.training) == (SMALL, False)
    torch.testing.assert_close(model(IMAGE), network(IMAGE))


@torch.no_grad()
def test_a_published_file_by_name(published, site, register):
    """It is fetched by the first that asks."""
    path, network = published
    site.content = path.read_bytes()
    register(urls=(f"{site.url}/file",), arguments=SMALL)
    for _ in range(2):
        torch.testing.assert_close(load("mine")(IMAGE), network(IMAGE))
    started = DnCNN(**SMALL, weights="mine")
    torch.testing.assert_close(started(IMAGE), network(IMAGE))
    assert len(site.requests) == 1
    assert verify("mine").sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not verify("mine").is_known


def test_a_model_file_by_path(tmp_path):
    """Its precision stays, unless it is half."""
    path = tmp_path / "model.safetensors"
    for dtype, wanted in {torch.float64: torch.float64, torch.float16: torch.float32}.items():
        save_model(path, ArtifactRemoval(DnCNN(**SMALL)).to(dtype))
        model = load(path)
        assert {weight.dtype for weight in model.state_dict().values()} == {wanted}
        assert (type(model), model.training) == (ArtifactRemoval, False)


def test_safetensors_without_a_description(tmp_path):
    """The class is asked for, and then believed."""
    model = DRUNet(channels=1, widths=(4, 6), blocks=1)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, tmp_path / "alone.safetensors")
    with pytest.raises(FormatError, match="is safetensors, but no model file"):
        load(tmp_path / "alone.safetensors")
    assert load(tmp_path / "alone.safetensors", model="DRUNet").widths == (4, 6)


CONSTRUCTORS = {
    "RAM": lambda **given: RAM("small", krylov=False, **given),
    "DRUNet": lambda **given: DRUNet(1, (4, 6), 1, **given),
    "DenoiserTiny": lambda **given: DenoiserTiny(1, (4, 6), 1, **given),
    "DnCNN": lambda **given: DnCNN(1, 4, 3, **given),
}


@pytest.mark.parametrize("build", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_constructors_take_weights(build, tmp_path, monkeypatch):
    """From a checkpoint or a model file; a model file does not say where they came from, and asks for nothing."""
    monkeypatch.setitem(_WIDTHS, "small", (4, 4, 8, 8))
    torch.manual_seed(0)
    source, path = build(), tmp_path / "weights.pth"
    torch.save(source.state_dict(), path)
    model = build(weights=path)
    path.unlink()
    save_model(tmp_path / "model.safetensors", model)
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        arguments = json.loads(file.metadata()["wellposed"])["model"]["arguments"]
    assert "weights" not in arguments
    again = build(weights=str(tmp_path / "model.safetensors"))
    for other in (model, load_model(tmp_path / "model.safetensors"), again):
        assert all(torch.equal(a, b) for a, b in zip(source.parameters(), other.parameters(), strict=True))


def test_filling_keeps_precision_and_memory_layout(published):
    model = DnCNN(**SMALL).double().to(memory_format=torch.channels_last)
    fill(model, published[0])
    assert model.in_conv.weight.dtype == torch.float64
    assert model.conv_list[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(model.out_conv.bias, -published[1].model[-1].bias.double())


def test_names_of_other_models_are_refused_before_anything_is_fetched(register):
    """Nothing listens at their address."""
    register(urls=("http://127.0.0.1:9/file",), arguments=SMALL)
    grey = r"the weights 'mine' are those of DnCNN\(channels=1, width=4, depth=5, bias=True\), got "
    unchanged(
        model := DnCNN(3, 4, 5),
        lambda: fill(model, "mine"),
        ArgumentError,
        grey + r"DnCNN\(channels=3\): choose others",
    )
    with pytest.raises(ArgumentError, match=grey + r"UNet\("):
        fill(UNet(channels=1, width=4, levels=2), "mine")
    with pytest.raises(ArgumentError, match=grey + "model='DRUNet'"):
        load("mine", model="DRUNet")


def test_another_architecture_names_the_first_differences(published):
    path, _ = published
    with pytest.raises(
        FormatError, match=r"dncnn\.pth does not fit DenoiserTiny: m_head\.weight is missing; .*; and \d+ more"
    ):
        load(path, model="DenoiserTiny")
    unchanged(
        model := DnCNN(1, 6, 5),
        lambda: fill(model, path),
        FormatError,
        r"in_conv\.weight is \(4, 1, 3, 3\) where \(6, 1, 3, 3\) is expected",
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(published, tmp_path, value):
    path, network = published
    weights = network.state_dict()
    weights["model.2.weight"][1, 2, 0, 0] = value
    torch.save(weights, path)
    words = r"is damaged: conv_list\.0\.weight holds NaN or infinite numbers"
    unchanged(model := DnCNN(**SMALL), lambda: fill(model, path), FormatError, words)
    model.conv_list[0].weight.data[0] = value
    save_model(tmp_path / "nan.safetensors", model)
    for ask in (load, verify):
        with pytest.raises(FormatError, match=words):
            ask(tmp_path / "nan.safetensors")


def test_truncated_and_foreign_files(published, tmp_path):
    path, _ = published
    with pytest.raises(ArgumentError, match=r"holds tensors alone: say of which model, as in model='DRUNet'; known: "):
        load(path)
    with pytest.raises(UnknownNameError, match="unknown model 'DnCN'; did you mean 'DnCNN'"):
        load(path, model="DnCN")
    path.write_bytes(path.read_bytes()[:-100])
    unchanged(model := DnCNN(**SMALL), lambda: fill(model, path), FormatError, "or it is truncated")
    with pytest.raises(UnknownNameError, match="did you mean 'dncnn-25'"):
        DnCNN(1, depth=17, weights="dncn-25")
    with pytest.raises(MissingFileError, match="no such file"):
        DnCNN(1, weights=tmp_path / "none.pth")


@torch.no_grad()
def test_conversion_needs_no_model_afterwards(published, tmp_path):
    path, network = published
    target = convert(path, tmp_path / "dncnn.safetensors", model="DnCNN")
    torch.testing.assert_close(load(target)(IMAGE), network(IMAGE))
    torch.testing.assert_close(load_model(target)(IMAGE), network(IMAGE))
    before = target.read_bytes()
    with pytest.raises(FormatError, match=r"written to a \.safetensors file"):
        convert(path, tmp_path / "dncnn.pth", model="DnCNN")
    with pytest.raises(FormatError, match="does not fit UNet"):
        convert(path, target, model="UNet")
    assert target.read_bytes() == before


@torch.no_grad()
def test_bundled_weights_are_two_files(bundled, tmp_path):
    """Half precision in the file, single after loading; the entry says all that the registry needs."""
    torch.manual_seed(0)
    model = DRUNet(1, (4, 6), 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    entry = bundled(model, results={"denoise-medium, PSNR": 31.5})
    assert {path.name for path in (tmp_path / "bundled").iterdir()} == {"mine-small.json", "mine-small.safetensors"}
    assert (entry.name, entry.model, entry.is_bundled) == ("mine-small", "DRUNet", True)
    assert entry.arguments == {"channels": 1, "widths": (4, 6), "blocks": 1}
    assert (entry.results, entry.licence) == ({"denoise-medium, PSNR": 31.5}, "BSD-3-Clause")
    assert entry.size == (tmp_path / "bundled" / entry.file).stat().st_size
    assert {weight.dtype for weight in load_model(tmp_path / "bundled" / entry.file).parameters()} == {torch.float16}
    for built in (load("mine-small"), load("mine-small", model="DRUNet"), DRUNet(1, (4, 6), 1, weights="mine-small")):
        for name, tensor in built.state_dict().items():
            assert torch.equal(tensor, model.state_dict()[name].half().float())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    found = verify("mine-small")
    assert (found.sha256, found.is_known, found.model) == (entry.sha256, True, "DRUNet")
    assert found.parameters == sum(weight.numel() for weight in model.parameters())


def test_bundled_weights_that_were_altered(bundled, tmp_path):
    entry = bundled(DnCNN(**SMALL))
    path = tmp_path / "bundled" / entry.file
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    for ask in (load, verify):
        with pytest.raises(FormatError, match=r"altered or is damaged: .* is expected; install wellposed again"):
            ask("mine-small")
    path.unlink()
    with pytest.raises(MissingFileError, match="mine-small has not been fetched"):
        load("mine-small")


def test_an_entry_of_another_model_is_found_out(bundled, monkeypatch):
    entry = bundled(DnCNN(**SMALL))
    monkeypatch.setitem(registry.WEIGHTS, "mine-small", type(entry)(**{**vars(entry), "model": "UNet"}))
    with pytest.raises(FormatError, match="holds a DnCNN, where its entry says UNet"):
        verify("mine-small")


def test_what_cannot_be_bundled(tmp_path):
    model = DnCNN(**SMALL)
    for name in ("", "a/b", "ram.small"):
        with pytest.raises(ArgumentError, match="expected a name of letters, digits and hyphens"):
            bundle(model, name, tmp_path, **TEXTS)
    model.in_conv.bias.data[0] = 1e5
    with pytest.raises(FormatError, match=r"in_conv\.bias holds NaN or infinite"):
        bundle(model, "mine", tmp_path, **TEXTS)
    assert list(tmp_path.iterdir()) == []


def test_every_published_entry_builds_its_model():
    """On no device: the constructor takes the arguments, and the attributes are compared with them."""
    for entry in WEIGHTS.values():
        with torch.device("meta"):
            model = MODELS[entry.model](**entry.arguments)
        assert {name: getattr(model, name) for name in entry.arguments} == entry.arguments
