"""Image quality, one number per image."""

from wellposed.metrics.pointwise import mae, mse, nrmse, psnr, snr
from wellposed.metrics.ssim import ssim

__all__ = ["mae", "mse", "nrmse", "psnr", "snr", "ssim"]
