"""The loop, on a method whose every step is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, SolverError
from wellposed.solvers import Status, run


class Count(NamedTuple):
    x: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class CountDown:
    """Take one off every image until it is zero; the problem says which number breaks it and how."""

    max_steps: int = 100
    tolerance: float | None = 0.0

    def step(self, problem: dict[float, Status], state: Count) -> Count:
        x = torch.where(state.active, state.x - 1, state.x)
        failure = state.failure
        for number, status in problem.items():
            failure = torch.where(state.active & (x == number), status.code, failure)
        return Count(x, state.active & (x != 0) & (failure == 0), failure)


def start(*numbers: float) -> Count:
    x = torch.tensor(numbers)
    return Count(x, x != 0, torch.zeros(len(numbers), dtype=torch.int64))


def test_each_image_stops_by_itself():
    solution = run(CountDown(), {}, start(3, 0, 5))
    assert solution.status is Status.converged
    assert solution.value.tolist() == [0, 0, 0]
    assert solution.stats["steps"] == 5
    assert solution.stats["converged"].tolist() == [True] * 3


def test_nothing_active_takes_no_step():
    solution = run(CountDown(), {}, start(0, 0))
    assert solution.stats["steps"] == 0
    assert solution.status is Status.converged


@pytest.mark.parametrize(("check_every", "steps"), [(1, 5), (2, 6), (5, 5), (7, 7), (200, 100)])
def test_the_verdict_is_asked_every_so_many_steps(check_every, steps):
    solution = run(CountDown(), {}, start(3, 5), check_every=check_every)
    assert solution.stats["steps"] == steps
    assert solution.value.tolist() == [0, 0]


def test_check_every_below_one_is_refused():
    with pytest.raises(ArgumentError, match="check_every of at least 1, got 0"):
        run(CountDown(), {}, start(1), check_every=0)


def test_max_steps_is_a_failure_of_the_unfinished_images_only():
    with pytest.raises(SolverError, match=r"CountDown: Stopped at max_steps .* \(image 1, 2 of a batch of 3\)"):
        run(CountDown(max_steps=4), {}, start(2, 5, 6))
    solution = run(CountDown(max_steps=4), {}, start(2, 5, 6), throw=False)
    assert solution.stats["statuses"] == (Status.converged, Status.max_steps, Status.max_steps)
    assert solution.stats["converged"].tolist() == [True, False, False]
    assert solution.value.tolist() == [0, 1, 2]


def test_without_a_tolerance_max_steps_is_the_goal():
    solution = run(CountDown(max_steps=4, tolerance=None), {}, start(9))
    assert solution.status is Status.completed
    assert solution.value.tolist() == [5]


def test_a_failed_image_keeps_its_status_and_the_others_go_on():
    problem = {4.0: Status.breakdown}
    solution = run(CountDown(), problem, start(6, 3), throw=False)
    assert solution.value.tolist() == [4, 0]
    assert solution.stats["statuses"] == (Status.breakdown, Status.converged)
    assert solution.status is Status.breakdown
    with pytest.raises(SolverError, match=r"broke down.*\(image 0 of a batch of 2\)"):
        run(CountDown(), problem, start(6, 3))


def test_one_image_is_not_counted_in_the_error():
    with pytest.raises(SolverError) as raised:
        run(CountDown(max_steps=1), {}, start(2))
    assert str(raised.value) == f"CountDown: {Status.max_steps.value}"


@pytest.mark.parametrize("check_every", [1, 3, 50])
def test_not_finite_stops_that_image(check_every):
    solution = run(CountDown(), {}, start(2, float("inf")), check_every=check_every, throw=False)
    assert solution.status is Status.not_finite
    assert solution.stats["statuses"] == (Status.converged, Status.not_finite)


def test_the_callback_sees_every_step_and_stops():
    seen = []

    def callback(step, state):
        seen.append((step, state.x.item()))
        return step == 3

    solution = run(CountDown(), {}, start(9), callback=callback)
    assert seen == [(1, 8.0), (2, 7.0), (3, 6.0)]
    assert solution.status is Status.stopped
    assert solution.stats["steps"] == 3
    assert not solution.stats["converged"].item()


def test_a_callback_that_answers_nothing_does_not_stop():
    assert run(CountDown(), {}, start(4), callback=lambda _step, _state: None).stats["steps"] == 4


def test_histories_have_an_entry_a_step():
    solution = run(
        CountDown(), {}, start(3, 2), record={"x": lambda state: state.x, "sum": lambda state: state.x.sum()}
    )
    assert solution.stats["history"]["x"].tolist() == [[2, 1], [1, 0], [0, 0]]
    assert solution.stats["history"]["sum"].tolist() == [3, 1, 0]
    assert len(run(CountDown(), {}, start(0), record={"x": lambda state: state.x}).stats["history"]["x"]) == 0
    assert "history" not in run(CountDown(), {}, start(3)).stats


def test_a_run_goes_on_from_its_state():
    first = run(CountDown(max_steps=4), {}, start(6, 3), throw=False)
    second = run(CountDown(max_steps=4), {}, first.state)
    assert second.status is Status.converged
    assert second.stats["steps"] == 2


def test_every_status_has_its_code_and_a_sentence():
    assert [status.code for status in Status] == list(range(len(Status)))
    assert Status.converged.code == 0
    assert all(status.value.endswith(".") or ": " in status.value for status in Status)
