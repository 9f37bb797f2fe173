"""Losses: `loss(x_hat=, y=, physics=, model=, x=None)`, one number per image; weighted, added, scheduled."""

from wellposed.losses._virtual import virtual_losses
from wellposed.losses.adversarial import UAIR, AmbientGAN, Game
from wellposed.losses.base import Loss, Ramp, Reconstructor, Sum, Weighted
from wellposed.losses.choose import Choice, Knowledge, choose_loss
from wellposed.losses.companion import Companion
from wellposed.losses.consistency import MeasurementConsistency
from wellposed.losses.discriminator import Discriminator
from wellposed.losses.drawn_input import Draw, DrawingLoss, DrawnInput, adapted_for_test
from wellposed.losses.dynamic import Artifact2Artifact, phase2phase
from wellposed.losses.ensure import ENSURE
from wellposed.losses.equivariant_imaging import EquivariantImaging, MultiOperatorEquivariantImaging
from wellposed.losses.equivariant_splitting import EquivariantSplitting
from wellposed.losses.held_out import HeldOut, Scheme, hold_out
from wellposed.losses.jacobian import JacobianNorm
from wellposed.losses.multi_operator import MultiOperatorImaging
from wellposed.losses.multipliers import Multipliers
from wellposed.losses.neighbor2neighbor import Neighbor2Neighbor
from wellposed.losses.noise2noise import Noise2Noise
from wellposed.losses.noise2score import Noise2Score
from wellposed.losses.noise2void import Noise2Self, Noise2Void
from wellposed.losses.recorrupted import R2R
from wellposed.losses.splitting import Splitting, ssdu
from wellposed.losses.supervised import L1, L2, SSIM
from wellposed.losses.sure import SURE
from wellposed.losses.total_variation import TotalVariation
from wellposed.losses.unsure import UNSURE

__all__ = [
    "ENSURE",
    "L1",
    "L2",
    "R2R",
    "SSIM",
    "SURE",
    "UAIR",
    "UNSURE",
    "AmbientGAN",
    "Artifact2Artifact",
    "Choice",
    "Companion",
    "Discriminator",
    "Draw",
    "DrawingLoss",
    "DrawnInput",
    "EquivariantImaging",
    "EquivariantSplitting",
    "Game",
    "HeldOut",
    "JacobianNorm",
    "Knowledge",
    "Loss",
    "MeasurementConsistency",
    "MultiOperatorEquivariantImaging",
    "MultiOperatorImaging",
    "Multipliers",
    "Neighbor2Neighbor",
    "Noise2Noise",
    "Noise2Score",
    "Noise2Self",
    "Noise2Void",
    "Ramp",
    "Reconstructor",
    "Scheme",
    "Splitting",
    "Sum",
    "TotalVariation",
    "Weighted",
    "adapted_for_test",
    "choose_loss",
    "hold_out",
    "phase2phase",
    "ssdu",
    "virtual_losses",
]
