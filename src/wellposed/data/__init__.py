"""Data: images and measurements in files, random kernels and masks, the named tasks."""

from wellposed.data.angles import degrees, golden_angles, limited_angles, uniform_angles
from wellposed.data.beam_picture import draw_beam
from wellposed.data.ct_tasks import FixedLogPoisson, RelativeGaussian, parallel_views
from wellposed.data.dicom import DicomImage, read_dicom, write_dicom
from wellposed.data.hounsfield import (
    LUNG_WINDOW,
    attenuation_to_hounsfield,
    hounsfield_to_attenuation,
    hounsfield_to_unit,
    unit_to_hounsfield,
)
from wellposed.data.image_store import ImageStore, Progress, Skipped
from wellposed.data.images import ColourMode, list_images, read_image, to_grey, write_image
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.masks import ColumnOrder, bernoulli_mask, cartesian_mask
from wellposed.data.measurements import load_measurements, save_measurements
from wellposed.data.noise_families import FixedGaussian, RandomGaussian, RandomPoissonGaussian, uniform_per_image
from wellposed.data.pair_files import PairFile, write_pairs
from wellposed.data.pair_tensors import PairTensors
from wellposed.data.phantoms import (
    SHEPP_LOGAN,
    SHEPP_LOGAN_STANDARD,
    Ellipse,
    draw_ellipses,
    integrate_ellipses,
    shepp_logan,
)
from wellposed.data.photographs import Photograph, demo_photograph
from wellposed.data.problems import (
    Batch,
    CropSource,
    FixedProblem,
    PairProblem,
    PairSource,
    Problem,
    SimulatedProblem,
)
from wellposed.data.random_phase import random_phase
from wellposed.data.random_tasks import RANDOM_TASKS
from wellposed.data.sinograms import BEAMS, read_sinogram
from wellposed.data.task import Images, NoiseFamily, OperatorFamily, Task
from wellposed.data.tasks import TASKS, get_task
from wellposed.data.throughput import crops_per_second

__all__ = [
    "BEAMS",
    "LUNG_WINDOW",
    "RANDOM_TASKS",
    "SHEPP_LOGAN",
    "SHEPP_LOGAN_STANDARD",
    "TASKS",
    "Batch",
    "ColourMode",
    "ColumnOrder",
    "CropSource",
    "DicomImage",
    "Ellipse",
    "FixedGaussian",
    "FixedLogPoisson",
    "FixedProblem",
    "ImageStore",
    "Images",
    "NoiseFamily",
    "OperatorFamily",
    "PairFile",
    "PairProblem",
    "PairSource",
    "PairTensors",
    "Photograph",
    "Problem",
    "Progress",
    "RandomGaussian",
    "RandomPoissonGaussian",
    "RelativeGaussian",
    "SimulatedProblem",
    "Skipped",
    "Task",
    "attenuation_to_hounsfield",
    "bernoulli_mask",
    "cartesian_mask",
    "crops_per_second",
    "degrees",
    "demo_photograph",
    "draw_beam",
    "draw_ellipses",
    "gaussian_kernel",
    "get_task",
    "golden_angles",
    "hounsfield_to_attenuation",
    "hounsfield_to_unit",
    "integrate_ellipses",
    "limited_angles",
    "list_images",
    "load_measurements",
    "motion_kernel",
    "parallel_views",
    "random_phase",
    "read_dicom",
    "read_image",
    "read_sinogram",
    "save_measurements",
    "shepp_logan",
    "to_grey",
    "uniform_angles",
    "uniform_per_image",
    "unit_to_hounsfield",
    "write_dicom",
    "write_image",
    "write_pairs",
]
