"""Rows L1 to O16 of the list of what DeepInverse 0.5.0 gets wrong: each is a test, here or where its room is tested.

`TESTS` says where; the rows that no other test covers are the functions `test_<row>_...` of this file.
"""

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch

import wellposed as wp
from tests.support.tensors import random_tensor, seeded
from wellposed.core.errors import KeywordError, UnsupportedError
from wellposed.operators import Blur, Mask, Operator

ROOT = Path(__file__).resolve().parents[2]
ROWS = (*(f"L{n}" for n in range(1, 15)), *(f"S{n}" for n in range(1, 12)), *(f"O{n}" for n in range(1, 17)))
TESTS = {
    "L1": ["solvers/test_least_squares.py::test_damped_equals_the_closed_form"],
    "L2": ["solvers/test_least_squares.py::test_undamped_is_the_pseudo_inverse"],
    "L3": ["operators/test_base.py::test_settings_of_a_solver_are_honoured_and_do_not_stay"],
    "L4": ["solvers/test_least_squares.py::test_a_batch_equals_its_items"],
    "L5": ["solvers/test_least_squares.py::test_a_tuple_converges_like_the_stacked_tensor"],
    "L6": ["contracts/test_solvers.py::test_the_scale_of_the_data_is_free"],
    "L7": [
        "solvers/test_differentiate.py::test_gradients_are_those_of_dense_algebra",
        "solvers/test_differentiate.py::test_a_module_is_trained_through_the_solve",
        "contracts/test_operator_derivatives.py::test_prox_is_differentiable_in_all_of_its_arguments",
    ],
    "L8": [
        "solvers/test_least_squares.py::test_a_start_changes_the_steps_and_not_the_answer",
        "solvers/test_least_squares.py::test_the_gram_takes_the_place_of_forward_and_adjoint",
    ],
    "L9": ["operators/test_base.py::test_the_adjoint_is_derived_from_the_forward"],
    "L12": ["operators/test_mask.py::test_mask_multiplies_and_its_pinv_divides_where_it_can"],
    "L13": [
        "contracts/test_operators.py::test_norm_is_the_largest_singular_value",
        "solvers/test_spectral.py::test_it_is_reproducible_and_touches_no_seed",
    ],
    "L14": [
        "operators/test_algebra.py::test_the_parts_of_a_stack_follow_it",
        "contracts/test_operator_state.py::test_state_dict_round_trip",
        "test_physics.py::test_several_measurements_with_a_noise_each",
    ],
    "S1": ["contracts/test_operator_state.py::test_a_misspelt_parameter_is_refused"],
    "S2": ["test_physics.py::test_parameters_of_operator_and_noise_in_one_call"],
    "S3": ["operators/test_mask.py::test_mask_weighs_once_when_measured_without_noise"],
    "S4": ["noise/test_composition.py::test_composition_draws_one_after_the_other"],
    "S5": ["contracts/test_noise.py::test_maps_do_not_add_dimensions"],
    "S6": ["contracts/test_noise.py::test_per_image_parameters_run_along_the_batch"],
    "S7": ["noise/test_counting.py::test_log_poisson_is_finite_where_no_photon_arrives"],
    "S8": ["contracts/test_noise.py::test_a_given_generator_advances"],
    "S9": ["contracts/test_noise.py::test_no_generator_honours_manual_seed"],
    "S11": ["contracts/test_operator_state.py::test_copies_answer_the_same"],
    "O1": ["operators/test_sequential_mri.py::test_overlapping_frames_add_up_in_the_adjoint"],
    "O2": ["operators/test_blur.py::test_any_kernel_that_fits_any_image"],
    "O3": [
        "contracts/test_prox.py::test_prox_is_the_minimiser",
        "contracts/test_prox.py::test_gradient_is_that_of_autograd",
        "contracts/test_prox.py::test_a_batch_equals_its_items",
    ],
    "O4": ["contracts/test_prox.py::test_prox_of_one_pixel_is_found_by_brute_force"],
    "O5": [
        "contracts/test_prox.py::test_moreau",
        "contracts/test_prox.py::test_the_same_question_has_the_same_answer_and_nothing_is_written",
    ],
    "O6": ["optim/test_algorithms.py::test_sparse_deconvolution_meets_its_optimality_conditions"],
    "O7": ["optim/test_algorithms.py::test_one_subset_is_no_subset_and_a_prior_counts_at_the_same_point"],
    "O8": [
        "contracts/test_algorithms.py::test_a_batch_equals_its_items",
        "optim/test_algorithms.py::test_backtracking_finds_steps_for_functions_without_a_lipschitz_constant",
    ],
    "O9": ["optim/test_algorithms.py::test_sirt_steps_by_hand_and_its_weighted_limit"],
    "O15": [
        "contracts/test_algorithms.py::test_the_same_question_has_the_same_answer_and_nothing_is_written",
        "contracts/test_prox.py::test_a_batch_equals_its_items",
    ],
    "O16": [
        "models/test_ram.py::test_any_size_and_a_noise_map_of_that_size",
        "models/test_ram_units.py::test_bad_input_is_one_sentence",
    ],
}
HERE = ("L10", "L11", "S10", "O10", "O11", "O12", "O13", "O14")


def functions(path):
    return [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("row", ROWS)
def test_every_row_is_a_test(row):
    """One that is renamed or deleted is missed here."""
    if row in HERE:
        assert any(re.match(f"test_{row}_", function.name) for function in functions(Path(__file__)))
        return
    for test in TESTS[row]:
        file, name = test.split("::")
        assert name in [function.name for function in functions(ROOT / "tests" / file)], test


class Square(Operator):
    """A map without an adjoint."""

    def _forward(self, x):
        return x.square()


def test_L10_the_pseudo_inverse_of_a_nonlinear_operator_is_refused_not_diverged():
    physics = wp.Physics(Square((1, 4, 4), (1, 4, 4)))
    with pytest.raises(UnsupportedError, match="Square is not linear"):
        physics.A_dagger(torch.ones(1, 1, 4, 4))


def test_L11_the_norm_of_a_nonlinear_operator_is_refused_in_a_sentence():
    with pytest.raises(UnsupportedError, match="Square is not linear"):
        wp.Physics(Square((1, 4, 4), (1, 4, 4))).linear_operator.norm()


def test_S10_parameters_of_one_name_are_neither_summed_nor_mixed_up():
    mask = torch.full((1, 1, 2, 2), 0.5)
    twice = Mask(0.1 / 0.5 * mask) @ Mask(0.2 / 0.5 * mask)
    assert sorted(twice.params) == ["inner.mask", "outer.mask"]
    changed = twice.with_params(**{"inner.mask": mask})
    assert changed.params["outer.mask"].unique().item() == pytest.approx(0.1)
    assert changed.params["inner.mask"].unique().item() == 0.5
    with pytest.raises(KeywordError, match="no parameter 'num_channels'"):
        twice.with_params(num_channels=mask)


@lru_cache(maxsize=1)
def modules():
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "src").rglob("*.py"))}


def test_O10_nothing_is_defined_twice():
    """But for what decorators gather: overloads, properties with setters, dispatch by type."""

    def defined(body):
        functions = [node.name for node in body if isinstance(node, ast.FunctionDef) and not node.decorator_list]
        return functions + [node.name for node in body if isinstance(node, ast.ClassDef)]

    for path, tree in modules().items():
        for owner in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
            names = defined(owner.body)
            assert len(set(names)) == len(names), (path, names)


def test_O11_not_implemented_is_raised_and_never_returned():
    """The constant `NotImplemented` of arithmetic is something else."""
    returned = [
        ast.unparse(node.value)
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Return) and node.value is not None
    ]
    assert [text for text in returned if "NotImplementedError" in text] == []
    assert "NotImplemented" in returned


def blurred(batch=1, sigma=0.05):
    x = wp.data.demo_photograph(size=24).repeat(batch, 1, 1, 1)
    operator = Blur(torch.full((1, 1, 3, 3), 1 / 9), (3, 24, 24), padding="circular")
    physics = wp.Physics(operator, wp.noise.Gaussian(sigma))
    return physics(x, generator=seeded(0)), physics


def test_O12_the_start_is_no_part_of_what_is_recorded():
    """A chain that is zero from its first step on, started at nine, has the mean zero."""
    y = torch.zeros(1, 1, 2, 2)
    problem = wp.optim.PlugAndPlay(wp.optim.LeastSquares(wp.operators.Identity(), y), lambda x, _: 0 * x)
    method = wp.optim.HQS(gamma=1.0, sigma=0.1, max_steps=5)
    start = method.init(problem, torch.full_like(y, 9.0))
    chain = wp.solvers.run(method, problem, start, record={"x": lambda state: state.x}).stats["history"]["x"]
    assert chain.shape == (5, 1, 1, 2, 2)
    assert (chain.mean().item(), chain.std().item()) == (0.0, 0.0)


@pytest.mark.parametrize("method", ["wavelet", "pnp", "dpir"])
def test_O13_measurements_stay_and_masks_may_differ_within_a_batch(method):
    x = wp.data.demo_photograph(size=12).repeat(2, 1, 1, 1)
    mask = (random_tensor(2, 1, 12, 12) > 0).float()
    physics = wp.Physics(Mask(mask), wp.noise.Gaussian(0.02))
    y = physics(x, generator=seeded(0))
    before = y.clone()
    both = wp.reconstruct(y, physics, method)
    assert torch.equal(y, before)
    one = wp.reconstruct(y[1:], physics.with_params(mask=mask[1:]), method)
    torch.testing.assert_close(both[1:], one, atol=2e-3, rtol=0)


def test_O13_seed_zero_is_a_seed():
    """Equal to itself and unlike another seed, also after torch's own generator has moved."""
    task, x = wp.data.get_task("inpaint-50"), wp.data.demo_photograph(size=24)
    first, _ = task.sample(x, generator=seeded(0))
    torch.rand(3)
    assert torch.equal(task.sample(x, generator=seeded(0))[0], first)
    assert not torch.equal(task.sample(x, generator=seeded(1))[0], first)


def test_O14_shapes_are_known_without_solving_for_an_image():
    """The adjoint costs one adjoint and nothing else; three steps of plug-and-play no forward map beyond their own."""
    y, physics = blurred()
    calls = []

    class Counted(Blur):
        def _forward(self, x):
            calls.append("forward")
            return super()._forward(x)

        def _adjoint(self, y):
            calls.append("adjoint")
            return super()._adjoint(y)

    counted = wp.Physics(Counted(physics.operator.kernel, (3, 24, 24), padding="circular"), physics.noise)
    wp.reconstruct(y, counted, "adjoint")
    assert calls == ["adjoint"]
    calls.clear()
    data = wp.optim.LeastSquares(counted.operator, y)
    problem = wp.optim.PlugAndPlay(data, lambda x, _: x)
    method = wp.optim.HQS(gamma=1.0, sigma=0.1, max_steps=3)
    wp.solvers.run(method, problem, method.init(problem, torch.zeros(1, 3, 24, 24)))
    assert calls == []
