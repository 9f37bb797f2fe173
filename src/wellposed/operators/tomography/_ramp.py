"""The ramp filter of filtered backprojection, its windows, and what each view counts for."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from wellposed.core.names import check_name
from wellposed.operators.tomography._lines import Plane

__all__ = ["WINDOWS", "parker_weights", "ramp_filtered", "ray_weights", "view_weights"]

_MISSING = 4.0
_REPEATED = 0.01

WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {
    "ramp": torch.ones_like,
    "shepp-logan": lambda f: torch.sinc(f / 2),
    "cosine": lambda f: torch.cos(math.pi / 2 * f),
    "hamming": lambda f: 0.54 + 0.46 * torch.cos(math.pi * f),
    "hann": lambda f: 0.5 + 0.5 * torch.cos(math.pi * f),
}
"""What the ramp is multiplied with, as a function of the frequency in units of the highest one."""


def ramp_filtered(y: Tensor, pitch: float, window: str) -> Tensor:
    """Return sinograms filtered along their last axis, whose samples are `pitch` apart.

    The ramp is that of the band-limited kernel in space (Kak and Slaney, equation 61), so that its mean is right; the
    sinogram is padded with zeros so that nothing wraps around.
    """
    check_name("filter", window, WINDOWS)
    bins = y.shape[-1]
    size = 2 ** math.ceil(math.log2(max(2 * bins, 16)))
    n = torch.arange(size)
    n = torch.minimum(n, size - n)
    kernel = torch.where(n % 2 == 1, -1 / (math.pi * n.clamp(min=1)).double().square(), 0.0)
    kernel[0] = 0.25
    ramp = torch.fft.rfft(kernel).real / pitch
    frequency = torch.linspace(0, 1, size // 2 + 1, dtype=ramp.dtype)
    response = (ramp * WINDOWS[window](frequency)).to(y.device, y.dtype)
    return torch.fft.irfft(torch.fft.rfft(y, size) * response, size)[..., :bins]


def ray_weights(plane: Plane, angles: Tensor, first: Tensor) -> Tensor:
    """Return what each ray (A, bins) is multiplied with before the filter: the share of its view, and its obliquity."""
    if plane.divergence == 0:
        return view_weights(angles, math.pi)[:, None]
    u = first[:, None] + plane.pitch * torch.arange(plane.bins, dtype=first.dtype, device=first.device)
    tangent = plane.divergence * u
    views = view_weights(angles, 2 * math.pi)[:, None] / (1 + tangent.square()).sqrt()
    gap, start = _largest_gap(angles, 2 * math.pi)
    if gap == 0:
        return views / 2
    span, fan = 2 * math.pi - gap, 2 * float(tangent.abs().max().atan())
    if span < math.pi + fan:
        warnings.warn(
            f"a turn of {span:.4g} rad is less than half a turn and the angle of the fan, {math.pi + fan:.4g} rad: "
            "some lines are not measured, and filtered backprojection shows it.",
            stacklevel=6,
        )
    return views * parker_weights(angles, tangent.atan(), start, max(span, math.pi + fan))


def view_weights(angles: Tensor, period: float) -> Tensor:
    """Return the angle that each view stands for, half of the gaps to its neighbours modulo a period, shape (A,).

    A gap far wider than all others is a range that was not measured, and counts as a usual one.
    """
    order = (angles.detach().cpu().double() % period).argsort()
    gaps = _gaps(angles, period)
    share = torch.where(gaps == gaps.max(), _usual(gaps), gaps) if _has_missing(gaps) else gaps
    weights = torch.empty_like(share)
    weights[order] = (share + share.roll(1)) / 2
    return weights.to(angles)


def parker_weights(angles: Tensor, rays: Tensor, start: float, span: float) -> Tensor:
    """Return smooth weights (A, D) that count each line of a short fan scan once.

    Parameters
    ----------
    angles : Tensor, shape (A,)
    rays : Tensor, shape (D,)
        The angle of each ray from the central one, positive towards the end of the detector's axis.
    start, span : float
        Where the scan begins, and how far it goes: at least pi and the fan's angle.

    References
    ----------
    Parker, *Optimal short scan convolution reconstruction for fan beam CT*, Medical Physics 9 (1982).
    """
    beta = ((angles.detach() - start) % (2 * math.pi))[:, None]
    half = (span - math.pi) / 2
    tiny = torch.finfo(beta.dtype).eps
    rising = (beta / (half + rays).clamp(min=tiny)).clamp(max=2)
    falling = ((span - beta) / (half - rays).clamp(min=tiny)).clamp(0, 2)
    return (math.pi / 4 * rising).sin().square() * (math.pi / 4 * falling).sin().square()


def _largest_gap(angles: Tensor, period: float) -> tuple[float, float]:
    """Return the range that was not measured, or 0 if there is none, and the angle where it ends."""
    gaps = _gaps(angles, period)
    if not _has_missing(gaps):
        return 0.0, 0.0
    ordered = (angles.detach().cpu().double() % period).sort().values
    return float(gaps.max()), float(ordered.roll(-1)[gaps.argmax()])


def _gaps(angles: Tensor, period: float) -> Tensor:
    """Return the gap from each angle, in order modulo the period, to the next one around the circle."""
    ordered = (angles.detach().cpu().double() % period).sort().values
    return torch.cat([ordered[1:], ordered[:1] + period]) - ordered


def _has_missing(gaps: Tensor) -> bool:
    """Tell whether one gap is a range that was not measured."""
    if len(gaps) == 1:
        return False
    widest, second = gaps.topk(2).values.tolist()
    return widest > max(_MISSING * _usual(gaps), 2 * second)


def _usual(gaps: Tensor) -> float:
    """Return the median of the gaps, between views of the same angle left out."""
    return float(gaps[gaps > _REPEATED * gaps.mean()].median())
