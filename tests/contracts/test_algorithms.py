"""The contract of reconstruction algorithms under the one driver, run on everything that is registered."""

import pytest
import torch

from tests.contracts.algorithm_cases import BATCH, CASES, measurements
from wellposed import optim
from wellposed.core.tree import norm, tree_leaves
from wellposed.optim import Guarantee, RelativeChange
from wellposed.solvers import Status, load_state, run, save_state

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
ALL = slice(None)


def solve(case, y, scale=1.0, images=ALL, **options):
    started = case.make(y, scale, images)
    return run(started.method, started.problem, started.state, **options)


def test_every_algorithm_has_a_case():
    """A new one without an entry would escape the contract."""
    public = {name for name in optim.__all__ if hasattr(getattr(optim, name), "step")}
    assert public == {name.split(",")[0] for name in CASES}


@every_case
def test_a_batch_equals_its_items(case):
    """O8: a zero image among them; each stops at the step at which it stops alone, and rests from then on."""
    y, seen = measurements(case), []
    if not case.positive:
        y[1] = 0
    together = solve(case, y, callback=lambda _, state: seen.append((state.active, state.x)))
    active, chain = (torch.stack(part) for part in zip(*seen, strict=True))
    for i in range(BATCH):
        alone = solve(case, y[i : i + 1], images=slice(i, i + 1))
        torch.testing.assert_close(together.value[i : i + 1], alone.value, rtol=0, atol=1e-10)
        steps = min(int(active[:, i].sum()) + 1, len(chain))
        assert alone.stats["steps"] == steps
        assert (chain[steps - 1 :, i] == chain[-1, i]).all()


@every_case
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_the_data_is_free(case, scale):
    """No absolute number anywhere: as many steps, and the answer is multiplied."""
    y = measurements(case)
    one, other = solve(case, y), solve(case, scale * y, scale)
    torch.testing.assert_close(other.value / scale, one.value, rtol=1e-6, atol=1e-7)
    assert abs(other.stats["steps"] - one.stats["steps"]) <= 0.02 * one.stats["steps"] + 1


@every_case
def test_resuming_equals_going_on(case, tmp_path):
    """To the last bit, from a state that went to a file and back."""
    y = measurements(case)
    started = case.make(y, 1.0, ALL)

    def go(state, steps):
        return run(started.method, started.problem, state, callback=lambda step, _: step == steps, throw=False)

    first = go(started.state, 3)
    save_state(tmp_path / "state.safetensors", first.state)
    second, whole = go(load_state(tmp_path / "state.safetensors", started.state), 4), go(started.state, 7)
    assert torch.equal(second.value, whole.value)
    for one, other in zip(tree_leaves(tensors(second.state)), tree_leaves(tensors(whole.state)), strict=True):
        assert torch.equal(one, other)


def tensors(state):
    """Return what a state holds, steps that are counted apart, as a tree."""
    parts = tuple(entry for entry in state if not isinstance(entry, int))
    return tuple(tensors(entry) if isinstance(entry, tuple) else entry for entry in parts)


@every_case
def test_a_rule_stops_each_image_where_it_holds(case):
    """`stop` comes before the tolerance of the method: the first step at which the image moves by less than a tenth."""
    y, seen = measurements(case), []
    started = case.make(y, 1.0, ALL)
    solution = run(
        started.method,
        started.problem,
        started.state,
        stop=RelativeChange(0.1),
        callback=lambda _, state: seen.append(state.x),
    )
    assert solution.status is Status.converged
    chain = torch.stack([started.state.x, *seen])
    for i in range(BATCH):
        moves = norm(chain[1:, i] - chain[:-1, i]) / norm(chain[1:, i])
        first = int((moves <= 0.1).nonzero()[0])
        assert (moves[:first] > 0.1).all()
        assert (chain[first + 1 :, i] == chain[-1, i]).all()
    whole = solve(case, y).stats["steps"]
    assert solution.stats["steps"] < whole


@every_case
def test_the_same_question_has_the_same_answer_and_nothing_is_written(case):
    """O15: no warm start hides in the method, and the caller's tensors stay as they were."""
    y = measurements(case)
    kept, started = y.clone(), case.make(y, 1.0, ALL)
    start = [leaf.clone() for leaf in tree_leaves(tensors(started.state))]
    first = run(started.method, started.problem, started.state).value
    assert torch.equal(run(started.method, started.problem, started.state).value, first)
    assert torch.equal(y, kept)
    for leaf, before in zip(tree_leaves(tensors(started.state)), start, strict=True):
        assert torch.equal(leaf, before)


@every_case
def test_single_precision_stays_and_is_near(case):
    y = measurements(case)
    single = solve(case, y.float(), throw=False).value
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), solve(case, y).value, rtol=1e-3, atol=1e-3)


@every_case
def test_a_nan_spoils_its_own_image_alone(case):
    y = measurements(case)
    started = case.make(y, 1.0, ALL)
    x = started.state.x.clone()
    x[1, 0, 0, 0] = torch.nan
    solution = run(started.method, started.problem, started.state._replace(x=x), throw=False)
    assert solution.stats["statuses"][1] is Status.not_finite
    assert Status.not_finite not in (solution.stats["statuses"][0], solution.stats["statuses"][2])
    torch.testing.assert_close(solution.value[::2], solve(case, y).value[::2], rtol=0, atol=1e-10)


@every_case
def test_whether_it_is_proven_to_converge_is_said_with_a_reason(case):
    started = case.make(measurements(case), 1.0, ALL)
    said = started.method.provably_convergent(started.problem)
    assert isinstance(said, Guarantee)
    assert said.reason.endswith(".")
