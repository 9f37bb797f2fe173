"""The errors that wellposed raises: one base class, each also the builtin that fits it."""

__all__ = [
    "ArgumentError",
    "DTypeError",
    "DeviceError",
    "FormatError",
    "KeywordError",
    "MissingDependencyError",
    "ShapeError",
    "SolverError",
    "TrainingError",
    "UnknownNameError",
    "UnsupportedError",
    "WellposedError",
]


class WellposedError(Exception):
    """Base class of every error that wellposed raises on purpose."""


class ShapeError(WellposedError, ValueError):
    """A tensor has a shape that does not fit."""


class DTypeError(WellposedError, TypeError):
    """A tensor has a dtype that does not fit (integers, wrong precision, real instead of complex)."""


class DeviceError(WellposedError, RuntimeError):
    """Two tensors that must meet lie on different devices."""


class ArgumentError(WellposedError, ValueError):
    """An argument has a value that makes no sense."""


class KeywordError(WellposedError, TypeError):
    """A keyword is not one of those that are understood."""


class UnknownNameError(WellposedError, ValueError):
    """A name (of a task, a method, an operator, ...) is not registered."""


class SolverError(WellposedError, ArithmeticError):
    """A solver did not reach its goal, or met a system that it cannot solve."""


class TrainingError(WellposedError, RuntimeError):
    """A training run cannot start, go on, or be kept."""


class FormatError(WellposedError, ValueError):
    """A file is not what its name or its user says."""


class UnsupportedError(WellposedError, NotImplementedError):
    """The combination asked for has no meaning or no implementation."""


class MissingDependencyError(WellposedError, ImportError):
    """An optional package is needed and not installed."""
