"""Score a bundled denoiser: `python weights/score.py NAME FOLDER` prints its PSNR for noise of 15, 25 and 50 of 255."""

import sys
from pathlib import Path
from statistics import fmean

import torch

from wellposed.core.rng import normal_like, streams
from wellposed.data import list_images, read_image
from wellposed.metrics import psnr
from wellposed.models.weights import load

_USAGE = "usage: python weights/score.py NAME FOLDER\n"
_LEVELS = (15, 25, 50)


@torch.no_grad()
def score(name: str, folder: Path, level: float) -> float:
    """Return the mean PSNR over the pictures of a folder; the noise of a picture follows from its name."""
    denoiser = load(name)
    values = []
    for path in list_images(folder):
        x = read_image(path)
        y = x + level * normal_like(x, streams(torch.Generator().manual_seed(0), path.name)[path.name])
        values.append(float(psnr(denoiser(y, level), x, data_range=1.0)))
    return fmean(values)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(_USAGE)
    for level in _LEVELS:
        result = score(sys.argv[1], Path(sys.argv[2]), level / 255)
        sys.stdout.write(f"{sys.argv[1]}, {Path(sys.argv[2]).name}, noise {level}/255: {result:.2f} dB\n")
