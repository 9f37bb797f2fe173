"""Data: images and measurements in files, random kernels and masks, the named tasks."""

from wellposed.data._mri_scan import MRIScan
from wellposed.data.angles import degrees, golden_angles, limited_angles, uniform_angles
from wellposed.data.coil_maps import birdcage_maps
from wellposed.data.coils import combine_coils, compress_coils, noise_covariance, root_sum_of_squares, whiten
from wellposed.data.ct_tasks import FixedLogPoisson, RelativeGaussian, parallel_views
from wellposed.data.density import pipe_menon_density, ramp_density, voronoi_density
from wellposed.data.dicom import DicomImage, read_dicom, write_dicom
from wellposed.data.espirit import calibration_size, espirit_maps
from wellposed.data.hounsfield import (
    LUNG_WINDOW,
    attenuation_to_hounsfield,
    hounsfield_to_attenuation,
    hounsfield_to_unit,
    unit_to_hounsfield,
)
from wellposed.data.image_store import ImageStore, Progress, Skipped
from wellposed.data.images import ColourMode, list_images, read_image, to_grey, write_image
from wellposed.data.ismrmrd_files import read_ismrmrd
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.kspace_masks import PointDensity, poisson_disc_mask, radial_mask, variable_density_mask
from wellposed.data.masks import ColumnOrder, bernoulli_mask, cartesian_mask
from wellposed.data.measurements import load_measurements, save_measurements
from wellposed.data.mri_files import is_scan, read_fastmri, read_scan, write_fastmri
from wellposed.data.mri_scans import kspace_noise, scan_measurements
from wellposed.data.mri_tasks import multicoil_mri, radial_mri
from wellposed.data.nifti_files import read_nifti, write_nifti
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
from wellposed.data.trajectories import (
    KSpaceUnit,
    SpokeOrder,
    cones_trajectory,
    radial_trajectory,
    radians_per_pixel,
    random_trajectory,
    read_trajectory,
    rosette_trajectory,
    spiral_trajectory,
)

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
    "KSpaceUnit",
    "MRIScan",
    "NoiseFamily",
    "OperatorFamily",
    "PairFile",
    "PairProblem",
    "PairSource",
    "PairTensors",
    "Photograph",
    "PointDensity",
    "Problem",
    "Progress",
    "RandomGaussian",
    "RandomPoissonGaussian",
    "RelativeGaussian",
    "SimulatedProblem",
    "Skipped",
    "SpokeOrder",
    "Task",
    "attenuation_to_hounsfield",
    "bernoulli_mask",
    "birdcage_maps",
    "calibration_size",
    "cartesian_mask",
    "combine_coils",
    "compress_coils",
    "cones_trajectory",
    "crops_per_second",
    "degrees",
    "demo_photograph",
    "draw_ellipses",
    "espirit_maps",
    "gaussian_kernel",
    "get_task",
    "golden_angles",
    "hounsfield_to_attenuation",
    "hounsfield_to_unit",
    "integrate_ellipses",
    "is_scan",
    "kspace_noise",
    "limited_angles",
    "list_images",
    "load_measurements",
    "motion_kernel",
    "multicoil_mri",
    "noise_covariance",
    "parallel_views",
    "pipe_menon_density",
    "poisson_disc_mask",
    "radial_mask",
    "radial_mri",
    "radial_trajectory",
    "radians_per_pixel",
    "ramp_density",
    "random_phase",
    "random_trajectory",
    "read_dicom",
    "read_fastmri",
    "read_image",
    "read_ismrmrd",
    "read_nifti",
    "read_scan",
    "read_sinogram",
    "read_trajectory",
    "root_sum_of_squares",
    "rosette_trajectory",
    "save_measurements",
    "scan_measurements",
    "shepp_logan",
    "spiral_trajectory",
    "to_grey",
    "uniform_angles",
    "uniform_per_image",
    "unit_to_hounsfield",
    "variable_density_mask",
    "voronoi_density",
    "whiten",
    "write_dicom",
    "write_fastmri",
    "write_image",
    "write_nifti",
    "write_pairs",
]
