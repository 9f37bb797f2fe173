"""Networks: denoisers `(x, sigma)`, wrappers around them, and reconstructors `(y, physics)`; one file each."""

from wellposed.models import weights
from wellposed.models.anscombe import Anscombe
from wellposed.models.artifact_removal import ArtifactRemoval
from wellposed.models.base import Denoiser
from wellposed.models.blind_spot import BlindSpot
from wellposed.models.checkpoints import load_weights, read_weights
from wellposed.models.complex import ComplexDenoiser
from wellposed.models.dncnn import DnCNN
from wellposed.models.drunet import DRUNet
from wellposed.models.equivariant import Equivariant
from wellposed.models.files import load_model, save_model
from wellposed.models.pdnet import PDNet
from wellposed.models.ram import RAM, initialise_from_drunet
from wellposed.models.registry import MODELS
from wellposed.models.tiled import Tiled
from wellposed.models.tiny import DenoiserTiny
from wellposed.models.unet import UNet

__all__ = [
    "MODELS",
    "RAM",
    "Anscombe",
    "ArtifactRemoval",
    "BlindSpot",
    "ComplexDenoiser",
    "DRUNet",
    "Denoiser",
    "DenoiserTiny",
    "DnCNN",
    "Equivariant",
    "PDNet",
    "Tiled",
    "UNet",
    "initialise_from_drunet",
    "load_model",
    "load_weights",
    "read_weights",
    "save_model",
    "weights",
]
