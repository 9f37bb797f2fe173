"""Losses: `loss(x_hat=, y=, physics=, model=, x=None)`, one number per image; weighted, added, scheduled."""

from wellposed.losses.base import Loss, Ramp, Reconstructor, Sum, Weighted
from wellposed.losses.supervised import L1, L2, SSIM

__all__ = ["L1", "L2", "SSIM", "Loss", "Ramp", "Reconstructor", "Sum", "Weighted"]
