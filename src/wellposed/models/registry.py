"""The models that files may name."""

from torch import nn

from wellposed.models.anscombe import Anscombe
from wellposed.models.artifact_removal import ArtifactRemoval
from wellposed.models.blind_spot import BlindSpot
from wellposed.models.complex import ComplexDenoiser
from wellposed.models.dncnn import DnCNN
from wellposed.models.drunet import DRUNet
from wellposed.models.equivariant import Equivariant
from wellposed.models.pdnet import PDNet
from wellposed.models.ram import RAM
from wellposed.models.tiled import Tiled
from wellposed.models.tiny import DenoiserTiny
from wellposed.models.unet import UNet

__all__ = ["MODELS"]

MODELS: dict[str, type[nn.Module]] = {
    model.__name__: model
    for model in (
        Anscombe,
        ArtifactRemoval,
        BlindSpot,
        ComplexDenoiser,
        DRUNet,
        DenoiserTiny,
        DnCNN,
        Equivariant,
        PDNet,
        RAM,
        Tiled,
        UNet,
    )
}
"""Every model by name; each keeps its constructor's arguments as attributes of the same names."""
