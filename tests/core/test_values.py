"""Values of tensors are looked at, except those on an accelerator that somebody vouches for."""

from types import SimpleNamespace

import pytest
import torch

from wellposed.core.values import trusted_values, values_hold

FALSE_ELSEWHERE = SimpleNamespace(device=torch.device("cuda"), all=lambda: False)
"""Stands in for a tensor on an accelerator."""


def test_values_on_the_cpu_are_always_looked_at():
    assert values_hold(torch.tensor([True, True]))
    assert not values_hold(torch.tensor([True, False]))
    with trusted_values():
        assert not values_hold(torch.tensor([True, False]))


def test_values_elsewhere_are_looked_at_unless_they_are_trusted():
    assert not values_hold(FALSE_ELSEWHERE)
    with trusted_values():
        assert values_hold(FALSE_ELSEWHERE)


def test_trust_ends_with_its_block_even_if_it_raises():
    with pytest.raises(ZeroDivisionError), trusted_values():
        _ = 1 / 0
    assert not values_hold(FALSE_ELSEWHERE)
