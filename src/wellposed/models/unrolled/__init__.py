"""Unrolled algorithms: the steps of `wellposed.optim` as networks."""

from wellposed.models.unrolled.algorithm import AlgorithmStep
from wellposed.models.unrolled.e2e_varnet import E2EVarNet, KSpaceStep
from wellposed.models.unrolled.field import FieldOfExperts
from wellposed.models.unrolled.lista import LISTAStep, lista
from wellposed.models.unrolled.modl import MoDLStep, modl
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.norm_unet import NormUNet
from wellposed.models.unrolled.numbers import Positive
from wellposed.models.unrolled.splitting import DPIRStep, HQSStep
from wellposed.models.unrolled.step import LearnedStep
from wellposed.models.unrolled.udpir import udpir
from wellposed.models.unrolled.varnet import VarNetStep, varnet

__all__ = [
    "AlgorithmStep",
    "DPIRStep",
    "E2EVarNet",
    "FieldOfExperts",
    "HQSStep",
    "KSpaceStep",
    "LISTAStep",
    "LearnedStep",
    "MoDLStep",
    "NormUNet",
    "Positive",
    "Unrolled",
    "VarNetStep",
    "lista",
    "modl",
    "udpir",
    "varnet",
]
