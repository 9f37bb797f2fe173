"""`wellposed doctor` on operators that the user wrote."""

import sys

import pytest
from typer.testing import CliRunner

from wellposed.cli.application import application

MODULE = """
from wellposed.operators import Identity, LinearOperator

class Shifted(LinearOperator):
    def __init__(self, step):
        super().__init__((1, 3, 4), (1, 3, 4))
        self.step = step

    def _forward(self, x):
        return x.roll(1, -1)

    def _adjoint(self, y):
        return y.roll(self.step, -1)

right, wrong = Shifted(-1), Shifted(1)

def make():
    return Shifted(-1)

def make_wrong():
    return Shifted(1)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE, encoding="utf-8")
    yield
    sys.modules.pop("mine", None)


def doctor(*names):
    return CliRunner().invoke(application, ["doctor", *names])


@pytest.mark.parametrize("name", ["mine:right", "mine:make"])
def test_a_right_operator_is_ok(mine, name):
    result = doctor(name)
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if name in line]
    assert "(B, 1, 3, 4)" in row
    assert " ok " in row


@pytest.mark.parametrize("name", ["mine:wrong", "mine:make_wrong"])
def test_a_wrong_adjoint_is_off_and_ends_with_1(mine, name):
    result = doctor(name)
    assert result.exit_code == 1
    (row,) = [line for line in result.stdout.splitlines() if name in line and "│" in line]
    assert " off " in row
    assert f"{name}: adjoint error" in result.stdout
    assert "Traceback" not in result.output


def test_one_wrong_operator_among_right_ones_is_enough(mine):
    result = doctor("mine:right", "mine:wrong", "mine:make")
    assert result.exit_code == 1
    assert [result.stdout.count(verdict) for verdict in (" ok ", " off ")] == [2, 1]


def test_the_import_path_is_left_as_it_was(mine):
    before = list(sys.path)
    doctor("mine:right")
    assert sys.path == before
