"""Every error is wellposed's own and the builtin that fits."""

import pytest

from wellposed.core import errors
from wellposed.core.errors import WellposedError

BUILTINS = {
    "ArgumentError": ValueError,
    "DTypeError": TypeError,
    "DeviceError": RuntimeError,
    "FormatError": ValueError,
    "KeywordError": TypeError,
    "MissingDependencyError": ImportError,
    "ShapeError": ValueError,
    "SolverError": ArithmeticError,
    "TrainingError": RuntimeError,
    "UnknownNameError": ValueError,
    "UnsupportedError": NotImplementedError,
}


@pytest.mark.parametrize(("name", "builtin"), BUILTINS.items())
def test_errors_can_be_caught_as_ours_and_as_the_builtin(name, builtin):
    error = getattr(errors, name)
    for caught in (WellposedError, builtin):
        with pytest.raises(caught, match=r"^what came$"):
            raise error("what came")


def test_every_error_has_a_builtin():
    assert set(errors.__all__) == set(BUILTINS) | {"WellposedError"}
