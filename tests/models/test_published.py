"""DRUNet and DnCNN are the published networks: the same tensors, and the same outputs for the same weights."""

import json

import numpy as np
import pytest
import torch

from tests.support.reference import FOLDER, field, needs_reference, reference_module, stored
from tests.support.tensors import random_tensor
from wellposed.models import DenoiserTiny, DnCNN, DRUNet, UNet, load_weights

PUBLISHED = {
    "drunet.1ch": (lambda: DRUNet(channels=1), 0.9),
    "drunet.3ch": (lambda: DRUNet(channels=3), 0.9),
    "dncnn.3ch": (lambda: DnCNN(channels=3), 1.5),
}
every_published = pytest.mark.parametrize(("name", "build", "gain"), [(k, *v) for k, v in PUBLISHED.items()])


@needs_reference
@every_published
def test_tensors_are_those_of_the_published_checkpoint(name, build, gain):
    keys = json.loads((FOLDER / "state_dict_keys.json").read_text(encoding="utf-8"))[name.replace(".", "_")]
    with torch.device("meta"):
        model = build()
    assert {key: list(tensor.shape) for key, tensor in model.state_dict().items()} == keys


@needs_reference
@every_published
def test_outputs_are_those_of_the_published_network(name, build, gain, tmp_path):
    """The weights go through a checkpoint file, as published ones do."""
    reference = stored()[name]
    torch.save(reference_module("deterministic").fill_(build(), gain=gain).state_dict(), tmp_path / "published.pth")
    model = build()
    load_weights(model, tmp_path / "published.pth")
    with torch.no_grad():
        output = model(field(reference.shape[1], 64, 80), 0.05)
    assert (output - reference).norm() <= 1e-6 * reference.norm()


def test_drunet_pads_by_repeating_the_last_row_and_column():
    """The image and the map of noise levels grow together, to multiples of two to the number of halvings."""
    model = DRUNet(2, widths=(4, 6, 8), blocks=1).double()
    x, level = random_tensor(1, 2, 9, 6), random_tensor(1, 1, 9, 6).abs()
    padded, padded_level = (
        torch.from_numpy(np.pad(value.numpy(), ((0, 0), (0, 0), (0, 3), (0, 2)), mode="edge")) for value in (x, level)
    )
    torch.testing.assert_close(model(x, level), model(padded, padded_level)[..., :9, :6])


def test_dncnn_is_its_formula():
    """With 3 x 3 kernels that are numbers at their centre, every pixel goes through a small dense network."""
    model = _pixelwise(DnCNN(channels=2, width=5, depth=4).double())
    x = random_tensor(1, 2, 3, 4)
    h = x
    for layer in [model.in_conv, *model.conv_list]:
        h = _dense(layer, h).clamp_min(0)
    torch.testing.assert_close(model(x), x + _dense(model.out_conv, h))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("noise_map", [True, False])
def test_unet_is_its_formula(bias, noise_map):
    """Two by two pixels and two levels: four pixels, their maximum at the bottom, concatenated in front of it again."""
    model = _pixelwise(UNet(channels=2, width=3, levels=2, bias=bias, noise_map=noise_map).double())
    x = random_tensor(1, 2, 2, 2)

    def twice(layers, h):
        return _dense(layers[2], _dense(layers[0], h).clamp_min(0)).clamp_min(0)

    fine = twice(model.encode[0], torch.cat([x, torch.full_like(x[:, :1], 0.3)], dim=1) if noise_map else x)
    coarse = twice(model.encode[1], fine.amax(dim=(2, 3), keepdim=True))
    up = torch.einsum("bihw,ioyx->boyx", coarse, model.upsample[0].weight)
    if bias:
        up = up + model.upsample[0].bias[:, None, None]
    decoded = twice(model.decode[0], torch.cat([fine, up], dim=1))
    torch.testing.assert_close(model(x, 0.3), x + _dense(model.last, decoded))


def test_drunet_is_its_formula():
    """Two by two pixels and two scales: kernels of 2 x 2 make one pixel of four, and four of one."""
    model = _pixelwise(DRUNet(1, widths=(3, 4), blocks=1).double())
    x = random_tensor(1, 1, 2, 2)

    def refined(block, h):
        return h + _dense(block.res[2], _dense(block.res[0], h).clamp_min(0))

    head = _dense(model.m_head, torch.cat([x, torch.full_like(x, 0.3)], dim=1))
    coarse = torch.einsum("bihw,oihw->bo", refined(model.m_down1[0], head), model.m_down1[1].weight)[..., None, None]
    body = refined(model.m_body[0], coarse) + coarse
    fine = refined(model.m_up1[1], torch.einsum("bihw,ioyx->boyx", body, model.m_up1[0].weight))
    torch.testing.assert_close(model(x, 0.3), _dense(model.m_tail, fine + head))


def test_tiny_folds_squares_of_four_pixels_into_channels():
    """A pixel of the folded grid sees the 2 x 2 square, and the correction is unfolded to where it came from."""
    model = DenoiserTiny(channels=1, widths=(4, 6), blocks=1).double()
    x, sigma = random_tensor(1, 1, 8, 4), 0.3
    corners = [x[..., row::2, column::2] for row in (0, 1) for column in (0, 1)]
    folded = model._pass(torch.cat([*corners, *[torch.full_like(corners[0], sigma)] * 4], dim=1))
    expected = x.clone()
    for channel, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        expected[..., row::2, column::2] += folded[:, channel : channel + 1]
    torch.testing.assert_close(model(x, sigma), expected)


def test_default_sizes():
    """The numbers of parameters that the papers and the docstrings state."""
    with torch.device("meta"):
        counts = {
            type(m).__name__: sum(p.numel() for p in m.parameters())
            for m in (DRUNet(), DnCNN(), DenoiserTiny(), UNet())
        }
    assert counts == {"DRUNet": 32_640_960, "DnCNN": 668_227, "DenoiserTiny": 774_016, "UNet": 1_925_667}


def _pixelwise(model):
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (3, 3):
                centre = layer.weight[..., 1:2, 1:2].clone()
                layer.weight.zero_()
                layer.weight[..., 1:2, 1:2] = 3 * centre
    return model


def _dense(layer, h):
    centre = layer.weight[..., layer.weight.shape[2] // 2, layer.weight.shape[3] // 2]
    out = torch.einsum("oi,bihw->bohw", centre, h)
    return out if layer.bias is None else out + layer.bias[:, None, None]
