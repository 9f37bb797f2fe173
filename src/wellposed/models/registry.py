"""The models that files may name."""

from torch import nn

from wellposed.models.anscombe import Anscombe
from wellposed.models.artifact_removal import ArtifactRemoval
from wellposed.models.autoencoder import Autoencoder
from wellposed.models.blind_spot import BlindSpot
from wellposed.models.complex import ComplexDenoiser
from wellposed.models.deep_image_prior import DeepImagePrior
from wellposed.models.dncnn import DnCNN
from wellposed.models.drunet import DRUNet
from wellposed.models.equilibrium import Equilibrium
from wellposed.models.equivariant import Equivariant
from wellposed.models.hourglass import Hourglass
from wellposed.models.pdnet import PDNet
from wellposed.models.ram import RAM
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
    LISTAStep,
    MoDLStep,
    NormUNet,
    Unrolled,
    VarNetStep,
)

__all__ = ["MODELS"]

MODELS: dict[str, type[nn.Module]] = {
    model.__name__: model
    for model in (
        AlgorithmStep,
        Anscombe,
        ArtifactRemoval,
        Autoencoder,
        BlindSpot,
        ComplexDenoiser,
        DPIRStep,
        DRUNet,
        DeepImagePrior,
        DenoiserTiny,
        DnCNN,
        E2EVarNet,
        Equilibrium,
        Equivariant,
        FieldOfExperts,
        HQSStep,
        Hourglass,
        KSpaceStep,
        LISTAStep,
        MoDLStep,
        NormUNet,
        PDNet,
        RAM,
        Tiled,
        UNet,
        Unrolled,
        VarNetStep,
    )
}
"""Every model by name; each keeps its constructor's arguments as attributes of the same names."""
