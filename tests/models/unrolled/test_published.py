"""Unrolled networks from the literature: their formulas as dense algebra, their sizes, their closed forms."""

import math

import pytest
import torch

import wellposed as wp
from tests.support.tensors import flat, random_tensor
from wellposed.core.errors import ArgumentError, ShapeError, UnsupportedError
from wellposed.models import (
    DRUNet,
    E2EVarNet,
    FieldOfExperts,
    KSpaceStep,
    LISTAStep,
    MoDLStep,
    NormUNet,
    Unrolled,
    VarNetStep,
    lista,
    modl,
    udpir,
    varnet,
)
from wellposed.models.unrolled.e2e_varnet import central_box
from wellposed.optim import L1Norm, LeastSquares, ProximalGradient, RegularisedProblem, Term
from wellposed.solvers import run

OPERATOR = wp.operators.Blur(random_tensor(1, 1, 3, 3).abs(), (1, 6, 5))
PHYSICS = wp.Physics(OPERATOR)
Y = random_tensor(2, 1, 4, 3, seed=1)


def seeded(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build().double()


def size(model):
    return sum(weight.numel() for weight in model.parameters())


def scan(coils=3, height=12, width=12, *, every=3):
    mask = torch.ones(width)
    mask[1::every] = 0
    mask[width // 2 - 2 : width // 2 + 3] = 1
    maps = random_tensor(coils, height, width, dtype=torch.complex128)
    maps = maps / torch.linalg.vector_norm(maps, dim=0)
    return wp.Physics(wp.operators.CartesianMRI(mask.double().view(1, 1, 1, width), (1, height, width), maps))


def centred(x, *, back=False):
    transform = torch.fft.ifft2 if back else torch.fft.fft2
    return torch.fft.fftshift(transform(torch.fft.ifftshift(x, dim=(-2, -1)), norm="ortho"), dim=(-2, -1))


def test_modl_alternates_its_network_and_a_linear_system():
    """With the weights of the paper's two halves written out; the weight of each step is its own."""

    def denoiser(x, sigma):
        return torch.tanh(x) * 0.7 + sigma.view(-1, 1, 1, 1)

    model = Unrolled(MoDLStep(denoiser, weight=(0.5, 2.0), sigma=0.1), 2).double()
    H, x = OPERATOR.to_matrix()[0], flat(OPERATOR.adjoint(Y) / OPERATOR.norm() ** 2)
    for weight in (0.5, 2.0):
        right = H.T @ flat(Y).T + weight * (torch.tanh(x) * 0.7 + 0.1).T
        x = torch.linalg.solve(H.T @ H + weight * torch.eye(30, dtype=torch.float64), right).T
    torch.testing.assert_close(flat(model(Y, PHYSICS)), x, rtol=1e-3, atol=1e-4)


def test_modl_has_the_published_size():
    """Five convolutions of 64 channels, for two channels, and one weight."""
    layers = [(2, 64), (64, 64), (64, 64), (64, 64), (64, 2)]
    assert size(modl()) == sum(9 * a * b + b for a, b in layers) + 1
    assert modl().n_iter == 10


def test_varnet_is_gradient_descent_with_a_field():
    model = Unrolled(VarNetStep(torch.tanh, weight=(0.3, 0.7)), 2).double()
    H, lipschitz = OPERATOR.to_matrix()[0], LeastSquares(OPERATOR, Y).lipschitz()
    x = flat(OPERATOR.adjoint(Y) / OPERATOR.norm() ** 2)
    for weight in (0.3, 0.7):
        x = x - weight / lipschitz * (x @ H.T - flat(Y)) @ H - torch.tanh(x)
    torch.testing.assert_close(flat(model(Y, PHYSICS)), x, rtol=1e-9, atol=1e-11)


def test_the_field_is_filters_curves_and_filters_back():
    """One filter as a dense matrix, its curve by the formula; the unit of the image does not matter."""
    field, x = seeded(lambda: FieldOfExperts(1, filters=1, size=3, centres=5)), random_tensor(1, 1, 5, 4)
    with torch.no_grad():
        field.curves.copy_(random_tensor(1, 5, seed=3))
    kernel = field.kernels - field.kernels.mean()
    kernel = kernel / kernel.norm()
    units = torch.eye(20, dtype=torch.float64).view(20, 1, 5, 4)
    matrix = torch.nn.functional.conv2d(units, kernel, padding=1).flatten(1).T
    scale = x.abs().max()
    seen = matrix @ (x / scale).flatten()
    centres = torch.linspace(-1, 1, 5, dtype=torch.float64)
    curved = (field.curves[0] * torch.exp(-((seen[:, None] - centres) ** 2) / (2 * 0.5**2))).sum(1)
    torch.testing.assert_close(field(x).flatten(), scale * matrix.T @ curved)
    torch.testing.assert_close(field(1e6 * x), 1e6 * field(x))
    assert kernel.sum().abs() < 1e-12


def test_varnet_has_the_published_size():
    """Ten steps of 48 filters of 11 x 11 for two channels, 31 numbers a curve, and a weight."""
    assert size(varnet()) == 10 * (48 * (2 * 11 * 11 + 31) + 1)
    steps = varnet(n_iter=2, filters=2, size=3)
    assert not torch.equal(steps.step.field.kernels, steps.later[0].field.kernels)


def test_udpir_has_eight_denoisers_or_one():
    sizes = {"widths": (4, 6), "blocks": 1}
    alone = size(DRUNet(1, **sizes))
    assert size(udpir(1, **sizes)) == alone + 16
    assert size(udpir(1, tied=False, **sizes)) == 8 * (alone + 2)


def test_a_step_in_k_space_is_that_of_the_paper():
    """k - eta M (k - y) - F S U(sum conj(S) F^-1 k), twice, with its own Fourier transform."""
    physics = scan()
    mask, maps = physics.operator.mask, physics.operator.coil_maps
    y = physics(random_tensor(2, 1, 12, 12, dtype=torch.complex128))
    model = Unrolled(KSpaceStep(torch.tanh, weight=(0.5, 0.8)), 2).double()
    k = y
    for weight in (0.5, 0.8):
        image = (maps.conj() * centred(k, back=True)).sum(1, keepdim=True)
        k = k - weight * mask * (k - y) - centred(maps * torch.tanh(image))
    expected = (maps.conj() * centred(k, back=True)).sum(1, keepdim=True)
    torch.testing.assert_close(model(y, physics), expected, rtol=1e-9, atol=1e-11)
    root = Unrolled(KSpaceStep(torch.tanh, weight=(0.5, 0.8), output="rss"), 2).double()
    torch.testing.assert_close(root(y, physics), torch.linalg.vector_norm(centred(k, back=True), dim=1, keepdim=True))


def test_e2e_varnet_has_the_published_size():
    """Twelve U-Nets of 18 channels, one of 8 for the coil maps, four halvings each: 29.9 million weights."""

    def unet(width):
        widths = [width * 2**level for level in range(5)]
        encode = sum(9 * (a * b + b * b) for a, b in zip([2, *widths], widths, strict=False))
        decode = sum(4 * 2 * w * w + 9 * (2 * w * w + w * w) for w in widths[:-1])
        return encode + decode + 2 * width + 2

    model = E2EVarNet()
    assert size(model) == 12 * (unet(18) + 1) + unet(8)
    assert size(model) == pytest.approx(29.9e6, rel=2e-3)


def test_e2e_varnet_estimates_its_coil_maps():
    """They are normalised, see the middle of k-space alone, and those of the physics are not read."""
    model, physics = seeded(lambda: E2EVarNet(2, 2, 1, map_width=2, map_levels=1)), scan()
    y = physics(random_tensor(2, 1, 12, 12, dtype=torch.complex128))
    maps = model.estimated_maps(y, physics.operator.mask)
    torch.testing.assert_close(maps.abs().square().sum(1), torch.ones(2, 12, 12, dtype=torch.float64))
    outside = y * (1 - central_box(physics.operator.mask.expand(1, 1, 12, 12)))
    torch.testing.assert_close(model.estimated_maps(y - outside, physics.operator.mask), maps)
    blind = wp.Physics(wp.operators.CartesianMRI(physics.operator.mask, (3, 12, 12)))
    torch.testing.assert_close(model(y, blind), model(y, physics))
    assert model(y, physics).shape == (2, 1, 12, 12)
    assert not torch.allclose(model(y, physics), model(y / 2, physics))
    together = model(y, physics)
    torch.testing.assert_close(model(y[:1], physics), together[:1], rtol=1e-9, atol=1e-11)


def test_every_weight_of_e2e_varnet_gets_a_gradient():
    """All but the first one of the samples, of which the start is one."""
    model, physics = seeded(lambda: E2EVarNet(2, 2, 1, map_width=2, map_levels=1, output="rss")), scan()
    y = physics(random_tensor(1, 1, 12, 12, dtype=torch.complex128))
    model(y, physics).square().sum().backward()
    assert [name for name, weight in model.named_parameters() if not bool(weight.grad.any())] == [
        "cascades.step.weights.exponent"
    ]


def test_the_box_ends_where_the_first_sample_is_missing():
    line = torch.tensor([1.0, 0, 1, 1, 1, 0, 1])
    assert central_box(line.view(1, 1, 1, 7).expand(1, 1, 4, 7))[0, 0, 0].tolist() == [0, 0, 1, 1, 1, 0, 0]
    square = torch.zeros(1, 1, 6, 6)
    square[..., 2:5, 1:4] = 1
    assert torch.equal(central_box(square), square)
    with pytest.raises(ArgumentError, match="middle of k-space"):
        central_box(1 - square)


def test_the_normalised_unet_is_free_of_units():
    network, x = seeded(lambda: NormUNet(width=2, levels=2)), random_tensor(2, 1, 13, 9, dtype=torch.complex128)
    torch.testing.assert_close(network(1e6 * x), 1e6 * network(x), rtol=1e-6, atol=1)
    torch.testing.assert_close(network(x + (3 - 2j)), network(x) + (3 - 2j))
    with pytest.raises(ShapeError, match=r"complex images of shape \(B, 1, H, W\)"):
        network(x.real)


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_untrained_lista_is_ista(tied):
    problem = RegularisedProblem(LeastSquares(OPERATOR, Y), Term(L1Norm(), 0.02))
    method = ProximalGradient(None, 6, accelerated=False)
    expected = run(method, problem, method.init(problem, torch.zeros(2, 1, 6, 5, dtype=torch.float64))).value
    torch.testing.assert_close(lista(OPERATOR, 0.02, 6, tied=tied)(Y, PHYSICS), expected, rtol=1e-9, atol=1e-11)


def test_one_step_of_lista_solves_orthonormal_problems():
    """Soft thresholding of the adjoint; with an operator of another norm, of the solution."""
    wavelets = wp.operators.Wavelets((1, 4, 4), "db1", 2).double()
    y = random_tensor(2, *wavelets.measurement_shape)
    back = wavelets.adjoint(y)
    soft = back.sign() * (back.abs() - 0.3).clamp(min=0)
    torch.testing.assert_close(lista(wavelets, 0.3, 1)(y, wp.Physics(wavelets)), soft)
    scaled = 2 * wavelets
    soft = (back / 2).sign() * ((back / 2).abs() - 0.3 / 4).clamp(min=0)
    torch.testing.assert_close(lista(scaled, 0.3, 1)(y, wp.Physics(scaled)), soft)


def test_lista_learns_to_need_fewer_steps():
    """Trained on the answers of a long ISTA, three steps come nearer to them than three steps of ISTA do."""
    long, short = lista(OPERATOR, 0.05, 200), lista(OPERATOR, 0.05, 3)
    y = OPERATOR(random_tensor(16, 1, 6, 5, seed=4) * (random_tensor(16, 1, 6, 5, seed=5) > 1))
    with torch.no_grad():
        target = long(y, PHYSICS)
    optimiser, errors = torch.optim.Adam(short.parameters(), lr=3e-3), []
    for _ in range(40):
        error = (short(y, PHYSICS) - target).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < errors[0] / 3


def test_what_does_not_fit_is_refused():
    physics = wp.Physics(wp.operators.CartesianMRI(torch.ones(1, 1, 1, 8), (1, 8, 8)))
    with pytest.raises(UnsupportedError, match=r"KSpaceStep needs a CartesianMRI with coil_maps"):
        Unrolled(KSpaceStep(torch.tanh), 1)(torch.ones(1, 1, 8, 8) + 0j, physics)
    with pytest.raises(UnsupportedError, match="need CartesianMRI of images"):
        E2EVarNet(1, 2, 1)(Y, PHYSICS)
    with pytest.raises(UnsupportedError, match=r"real measurements of shape \(B, 1, 4, 3\), got .*5, 5"):
        lista(OPERATOR, 0.1, 1)(torch.ones(1, 1, 5, 5, dtype=torch.float64), PHYSICS)
    with pytest.raises(ArgumentError, match="an operator that all images share"):
        lista(wp.operators.Mask(torch.ones(2, 1, 3, 3)), 0.1)
    with pytest.raises(ShapeError, match="odd size"):
        FieldOfExperts(size=4)
    with pytest.raises(ShapeError, match="build it with channels=1"):
        FieldOfExperts(channels=2, size=3)(torch.ones(1, 1, 8, 8))
    assert LISTAStep((1, 2, 2), (1, 3, 1)).encode.weight.shape == (4, 3)
    assert math.isfinite(size(varnet(n_iter=1, filters=1, size=1)))
