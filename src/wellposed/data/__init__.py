"""Data: images and measurements in files, random kernels and masks, the named tasks."""

from wellposed.data.images import ColourMode, list_images, read_image, to_grey, write_image
from wellposed.data.kernels import gaussian_kernel, motion_kernel
from wellposed.data.masks import ColumnOrder, bernoulli_mask, cartesian_mask
from wellposed.data.measurements import load_measurements, save_measurements
from wellposed.data.photographs import Photograph, demo_photograph
from wellposed.data.tasks import TASKS, Images, Task, get_task

__all__ = [
    "TASKS",
    "ColourMode",
    "ColumnOrder",
    "Images",
    "Photograph",
    "Task",
    "bernoulli_mask",
    "cartesian_mask",
    "demo_photograph",
    "gaussian_kernel",
    "get_task",
    "list_images",
    "load_measurements",
    "motion_kernel",
    "read_image",
    "save_measurements",
    "to_grey",
    "write_image",
]
