"""Networks: denoisers `(x, sigma)`, wrappers around them, and reconstructors `(y, physics)`; one file each."""

from wellposed.models import weights
from wellposed.models.anscombe import Anscombe
from wellposed.models.artifact_removal import ArtifactRemoval
from wellposed.models.autoencoder import Autoencoder
from wellposed.models.base import Denoiser
from wellposed.models.blind_spot import BlindSpot
from wellposed.models.checkpoints import load_weights, read_weights
from wellposed.models.complex import ComplexDenoiser
from wellposed.models.deep_image_prior import DeepImagePrior
from wellposed.models.dncnn import DnCNN
from wellposed.models.drunet import DRUNet
from wellposed.models.equilibrium import Equilibrium
from wellposed.models.equivariant import Equivariant
from wellposed.models.files import load_model, save_model
from wellposed.models.hourglass import Hourglass
from wellposed.models.pdnet import PDNet
from wellposed.models.ram import RAM, initialise_from_drunet, initialise_from_tiny
from wellposed.models.registry import MODELS
from wellposed.models.tiled import Tiled
from wellposed.models.tiny import DenoiserTiny
from wellposed.models.unet import UNet
from wellposed.models.unrolled import (
    AlgorithmStep,
    DPIRStep,
    E2EVarNet,
    FieldOfExperts,
    HQSStep,
    KSpaceStep,
    LearnedStep,
    LISTAStep,
    MoDLStep,
    NormUNet,
    Unrolled,
    VarNetStep,
    lista,
    modl,
    udpir,
    varnet,
)

__all__ = [
    "MODELS",
    "RAM",
    "AlgorithmStep",
    "Anscombe",
    "ArtifactRemoval",
    "Autoencoder",
    "BlindSpot",
    "ComplexDenoiser",
    "DPIRStep",
    "DRUNet",
    "DeepImagePrior",
    "Denoiser",
    "DenoiserTiny",
    "DnCNN",
    "E2EVarNet",
    "Equilibrium",
    "Equivariant",
    "FieldOfExperts",
    "HQSStep",
    "Hourglass",
    "KSpaceStep",
    "LISTAStep",
    "LearnedStep",
    "MoDLStep",
    "NormUNet",
    "PDNet",
    "Tiled",
    "UNet",
    "Unrolled",
    "VarNetStep",
    "initialise_from_drunet",
    "initialise_from_tiny",
    "lista",
    "load_model",
    "load_weights",
    "modl",
    "read_weights",
    "save_model",
    "udpir",
    "varnet",
    "weights",
]
