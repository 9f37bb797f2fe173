"""The contract of noise models, run on everything that is registered."""

import copy
import inspect
import pickle

import pytest
import torch

from tests.contracts.noise_cases import CASES
from wellposed import noise as noises
from wellposed.core.errors import ArgumentError, DTypeError, KeywordError, ShapeError
from wellposed.core.tree import tree_leaves, tree_map
from wellposed.noise.base import NoiseModel

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
with_parameter = pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.parameter], ids=[k for k, case in CASES.items() if case.parameter]
)
Z_LIMIT = 4.5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_equal(a, b):
    for left, right in zip(tree_leaves(a), tree_leaves(b), strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def differ(a, b):
    return any(not torch.equal(left, right) for left, right in zip(tree_leaves(a), tree_leaves(b), strict=True))


def test_every_noise_model_has_a_case():
    registered = {name for name in noises.__all__ if name != "NoiseModel"}
    assert {type(case.make()).__name__ for case in CASES.values()} == registered


def test_every_parameter_of_every_noise_model_is_varied_by_a_case():
    varied = {(type(case.make()), case.parameter) for case in CASES.values()}
    for case in CASES.values():
        model = case.make()
        if not list(model.children()):
            assert {(type(model), name) for name in model.params} <= varied


def test_noise_models_are_abstract_or_final():
    for name in noises.__all__:
        cls = getattr(noises, name)
        assert inspect.isabstract(cls) or getattr(cls, "__final__", False), name


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 2, 4, 5), (2, 2, 3, 4, 5), (2, 7)], ids=["image", "volume", "vector"])
def test_shape_and_dtype_are_kept(case, shape, dtype):
    model, clean = case.make(), case.clean(*shape, dtype=dtype)
    for tree in (model(clean, generator=seeded()), model.mean(clean), model.variance(clean)):
        for part, reference in zip(tree_leaves(tree), tree_leaves(clean), strict=True):
            assert (part.shape, part.dtype) == (reference.shape, dtype)
            assert torch.isfinite(part).all()


def parameter_of_kind(case, kind):
    low, high = case.values
    if kind == "number":
        return torch.tensor(high)
    if kind == "per image":
        return torch.tensor([low, high])
    return torch.tensor([low] * 75 + [high] * 75).view(1, 1, 1, 150)


@every_case
@pytest.mark.parametrize("kind", ["default", "number", "per image", "map"])
def test_draws_have_the_mean_and_the_variance_that_are_declared(case, kind):
    """Every group (image, clean level, left or right half) is tested by itself: 11250 draws."""
    if kind != "default" and not case.parameter:
        pytest.skip("no parameter")
    model, clean = case.make(), case.clean(2, 3, 150, 150)
    if kind != "default":
        model = model.with_params(**{case.parameter: parameter_of_kind(case, kind)})
    trees = model(clean, generator=seeded(3)), model.mean(clean), model.variance(clean)
    for y, mean, variance in zip(*map(tree_leaves, trees), strict=True):
        squares = (y - mean).square()
        groups = [t.unflatten(3, (2, 75)).movedim(3, 2).flatten(3) for t in (y - mean, squares - variance, variance)]
        error, excess, variance = groups
        if not variance.any():
            assert not error.any()
            continue
        count = error.shape[-1]
        z_mean = error.mean(-1) / (variance.mean(-1) / count).sqrt()
        z_variance = excess.mean(-1) / (excess.std(-1) / count**0.5)
        assert z_mean.abs().max() < Z_LIMIT
        assert z_variance.abs().max() < Z_LIMIT


@every_case
def test_same_seed_same_draw(case):
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    assert_equal(model(clean, generator=seeded(1)), model(clean, generator=seeded(1)))
    if case.parameter:
        assert differ(model(clean, generator=seeded(1)), model(clean, generator=seeded(2)))


@with_parameter
def test_a_given_generator_advances(case):
    """S8: a generator that never advances would give the same noise on every call."""
    model, clean, generator = case.make(), case.clean(2, 2, 6, 6), seeded()
    assert differ(model(clean, generator=generator), model(clean, generator=generator))


@with_parameter
def test_no_generator_honours_manual_seed(case):
    """S9."""
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first, second = model(clean), model(clean)
        torch.manual_seed(5)
        again = model(clean)
    assert_equal(first, again)
    assert differ(first, second)


@with_parameter
def test_a_given_generator_leaves_the_global_one_alone(case):
    before = torch.random.get_rng_state()
    case.make()(case.clean(2, 2, 6, 6), generator=seeded())
    assert torch.equal(torch.random.get_rng_state(), before)


@every_case
def test_parts_and_images_get_noise_of_their_own(case):
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    if case.parts > 1 or not case.parameter:
        pytest.skip("its parts differ anyway, or there is no noise")
    first, second = model((clean, clean), generator=seeded())
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


@every_case
def test_clean_measurements_are_not_written_to(case):
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    before = tree_map(torch.clone, clean)
    model(clean, generator=seeded())
    model.mean(clean)
    model.variance(clean)
    assert_equal(clean, before)


@with_parameter
def test_call_override_equals_with_params_and_changes_nothing(case):
    """S1, S2."""
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    state = copy.deepcopy(model.state_dict())
    override = {case.parameter: case.values[1]}
    changed = model(clean, generator=seeded(), **override)
    assert_equal(changed, model.with_params(**override)(clean, generator=seeded()))
    assert differ(changed, model(clean, generator=seeded()))
    assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())


@every_case
def test_unknown_parameters_raise(case):
    model, clean = case.make(), case.clean(1, 1, 2, 2)
    with pytest.raises(KeywordError, match="no parameter 'mask'"):
        model(clean, mask=torch.ones(1))
    if case.parameter:
        with pytest.raises(KeywordError, match=f"did you mean '{case.parameter}'"):
            model(clean, **{case.parameter + "x": 1.0})


@with_parameter
@pytest.mark.parametrize("moment", ["mean", "variance"])
def test_per_image_parameters_run_along_the_batch(case, moment):
    """S6: batch, height and width are of equal size, so that a value along the wrong axis would go unnoticed."""
    low, high = case.values
    values = torch.tensor([low, high, (low + high) / 2])
    model, clean = case.make(), case.clean(3, 2, 3, 3)
    together = getattr(model.with_params(**{case.parameter: values}), moment)(clean)
    for i, value in enumerate(values):
        item = tree_map(lambda part, i=i: part[i : i + 1], clean)
        alone = getattr(model.with_params(**{case.parameter: value}), moment)(item)
        for a, b in zip(tree_leaves(together), tree_leaves(alone), strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-12, atol=1e-14)


@with_parameter
def test_maps_do_not_add_dimensions(case):
    """S5: a (B, 1, H, W) parameter."""
    values = torch.linspace(*case.values, 2 * 3 * 4).view(2, 1, 3, 4)
    model, clean = case.make().with_params(**{case.parameter: values}), case.clean(2, 3, 3, 4)
    for tree in (model(clean, generator=seeded()), model.mean(clean), model.variance(clean)):
        assert [part.shape for part in tree_leaves(tree)] == [part.shape for part in tree_leaves(clean)]


@with_parameter
@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 1, 1, 5), (1, 2, 3, 3, 4), (4, 1, 1, 1)], ids=str)
def test_parameters_that_do_not_fit_raise(case, shape):
    model, clean = (
        case.make().with_params(**{case.parameter: torch.full(shape, case.values[0])}),
        case.clean(2, 3, 3, 4),
    )
    with pytest.raises(ShapeError, match=f"expects {case.parameter} to be"):
        model(clean)


@with_parameter
@pytest.mark.parametrize("value", [-0.1, torch.nan, torch.inf, torch.tensor([0.2, -0.1])], ids=str)
def test_parameters_out_of_bounds_raise(case, value):
    with pytest.raises(ArgumentError, match=f"finite {case.parameter} >"):
        case.make().with_params(**{case.parameter: value})


@with_parameter
def test_complex_parameters_raise(case):
    with pytest.raises(DTypeError, match=f"real {case.parameter}"):
        case.make().with_params(**{case.parameter: torch.tensor(0.1 + 0j)})


@every_case
def test_complex_measurements_are_noisy_in_both_parts_or_refused(case):
    model, clean = case.make(), tree_map(lambda part: torch.complex(part, part), case.clean(2, 2, 6, 6))
    if case.takes_complex:
        y = model(clean, generator=seeded())
        assert y.dtype == model.mean(clean).dtype == torch.complex128
        assert model.variance(clean).dtype == torch.float64
    elif case.parts == 1:
        for verb in (model, model.mean, model.variance):
            with pytest.raises(DTypeError, match="real measurements"):
                verb(clean)


@every_case
@pytest.mark.parametrize("wrong", [torch.ones(1, 1, 2, 2, dtype=torch.uint8), [1.0]], ids=["bytes", "list"])
def test_what_is_not_a_floating_tensor_raises(case, wrong):
    clean = wrong if case.parts == 1 else (wrong,) * case.parts
    with pytest.raises(DTypeError, match="expects"):
        case.make()(clean)


@every_case
@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"]
)
def test_copies_draw_the_same(case, duplicate):
    """S11."""
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    assert_equal(duplicate(model)(clean, generator=seeded()), model(clean, generator=seeded()))


@with_parameter
def test_state_dict_restores_the_parameters(case):
    source = case.make().with_params(**{case.parameter: case.values[1]})
    target, clean = case.make(), case.clean(2, 2, 6, 6)
    target.load_state_dict(source.state_dict())
    assert_equal(target(clean, generator=seeded()), source(clean, generator=seeded()))


@with_parameter
def test_moving_to_double_moves_the_parameters(case):
    """The precision of the draw is that of the measurements, whatever that of the parameters."""
    model = case.make().to(torch.float64)
    assert all(value.dtype == torch.float64 for value in model.params.values())
    clean = case.clean(2, 2, 3, 3, dtype=torch.float32)
    assert all(part.dtype == torch.float32 for part in tree_leaves(model(clean)))


@pytest.mark.parametrize(
    ("case", "what"),
    [pytest.param(case, what, id=f"{name}-{what}") for name, case in CASES.items() for what in case.differentiable],
)
def test_gradients_of_the_draw_are_its_slopes(case, what):
    """The same seed gives the same noise, so that finite differences see the reparametrised draw."""
    model, clean = case.make().double(), case.clean(2, 2, 2, 2)

    def draw(value):
        if what == "clean":
            return model(value, generator=seeded())
        return model(clean, generator=seeded(), **{what: value})

    point = clean.clone() if what == "clean" else model.params[what].clone()
    assert torch.autograd.gradcheck(draw, point.requires_grad_())


@with_parameter
def test_moments_are_differentiable_in_clean_and_parameter(case):
    if case.parts > 1:
        pytest.skip("its parts are tested alone")
    model, clean = case.make().double(), case.clean(2, 2, 1, 2).requires_grad_()
    value = model.params[case.parameter].clone().requires_grad_()

    def moments(x, parameter):
        changed = model.with_params(**{case.parameter: parameter})
        return changed.mean(x), changed.variance(x)

    assert torch.autograd.gradcheck(moments, (clean, value), atol=1e-4)


@with_parameter
def test_a_trainable_parameter_stays_trainable(case):
    if list(case.make().children()):
        pytest.skip("its parts are tested alone")
    model = type(case.make())(**{name: torch.nn.Parameter(value) for name, value in case.make().params.items()})
    assert set(dict(model.named_parameters())) == set(model.params)


@with_parameter
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_cpu_generator_gives_the_same_noise_on_the_gpu(case):
    model, clean = case.make(), case.clean(2, 2, 6, 6)
    on_gpu = model.to("cuda")(tree_map(lambda part: part.cuda(), clean), generator=seeded())
    on_cpu = model.cpu()(clean, generator=seeded())
    for a, b in zip(tree_leaves(on_gpu), tree_leaves(on_cpu), strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-6, atol=1e-6)


def test_noise_model_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        NoiseModel()
