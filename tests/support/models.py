"""Small parametrised objects: one parameter, two parts, any number of parts, and one that breaks the rule."""

import torch
from torch import nn

from wellposed.core.parametrised import Parametrised


class Gain(Parametrised):
    """Multiply by a number."""

    def __init__(self, gain, label="plain"):
        super().__init__()
        self.register_parameter_tensor("gain", gain)
        self.label = label

    def forward(self, x):
        return self.gain * x

    def squared(self):
        return self.derived("squared", ("gain",), self.gain.square)


class Chain(Parametrised):
    """One part after the other, and an offset of its own."""

    def __init__(self, first, second, offset=0.0):
        super().__init__()
        self.first, self.second = first, second
        self.register_parameter_tensor("offset", offset)

    def forward(self, x):
        return self.second(self.first(x)) + self.offset


class Total(Parametrised):
    """The sum of any number of parts."""

    def __init__(self, parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x):
        return sum(part(x) for part in self.parts)


class Forgetful(Parametrised):
    """Breaks the rule: its argument is not kept."""

    def __init__(self, size):
        super().__init__()
        self.register_parameter_tensor("gain", torch.ones(size))
