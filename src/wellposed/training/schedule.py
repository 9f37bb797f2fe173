"""The learning rate as a function of the step."""

from __future__ import annotations

import math

from wellposed.training.options import Options

__all__ = ["learning_rate_at"]


def learning_rate_at(step: int, options: Options, *, rewarmed_at: int | None = None) -> float:
    r"""Return the learning rate of a step, counted from 0.

    .. math:: \eta_k = \eta \; s(k / K) \; \min(1, \tfrac{k + 1}{W}) \; \min(1, \tfrac{K - k}{C + 1})
        \; \min(1, \tfrac{k - k_0 + 1}{R})

    K, W, C, R are the options `steps`, `warmup`, `cooldown` and `rewarm`; :math:`k_0` is the step before which the
    state of the optimiser was lost. The shape s is 1 ("constant"), :math:`r + (1 - r)(1 + \cos \pi t) / 2` ("cosine"),
    :math:`1 - (1 - r) t` ("linear") with r the `final_ratio`, or `factor` to the number of `milestones` that lie at or
    before t ("step").

    Parameters
    ----------
    step : int
    options : Options
    rewarmed_at : int, optional
        :math:`k_0`; by default nothing was lost.

    Examples
    --------
    >>> options = Options(steps=10, learning_rate=1.0, warmup=4, cooldown=1)
    >>> [learning_rate_at(step, options) for step in (0, 3, 8, 9)]
    [0.25, 1.0, 1.0, 0.5]
    """
    rate = options.learning_rate * _shape(step / options.steps, options)
    rate *= min(1.0, (step + 1) / max(options.warmup, 1))
    rate *= min(1.0, (options.steps - step) / (options.cooldown + 1))
    if rewarmed_at is not None:
        rate *= min(1.0, (step - rewarmed_at + 1) / max(options.rewarm, 1))
    return rate


def _shape(progress: float, options: Options) -> float:
    left = options.final_ratio
    if options.schedule == "cosine":
        return left + (1 - left) * (1 + math.cos(math.pi * progress)) / 2
    if options.schedule == "linear":
        return 1 - (1 - left) * progress
    if options.schedule == "step":
        return float(options.factor ** sum(milestone <= progress for milestone in options.milestones))
    return 1.0
