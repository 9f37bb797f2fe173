"""The registered operators as pytest parameters: each, in double precision, and each with each field of numbers."""

import pytest
import torch

from wellposed.core.shapes import Field
from wellposed.operators import LinearOperator
from wellposed.operators.examples import EXAMPLES

DOUBLE = {name: make().to(torch.float64) for name, make in EXAMPLES.items()}


def fields(operator: LinearOperator) -> tuple[Field, ...]:
    return ("real", "complex") if operator.image_field == "any" else (operator.image_field,)


def batches(operator: LinearOperator) -> tuple[int, ...]:
    return (1, 3) if operator.parameter_batch == 1 else (operator.parameter_batch,)


every_operator = pytest.mark.parametrize("name", EXAMPLES)
every_field = pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name, operator in DOUBLE.items() for field in fields(operator)],
    ids=str,
)
every_parameter = pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name, operator in DOUBLE.items() for parameter in operator.params],
    ids=str,
)
