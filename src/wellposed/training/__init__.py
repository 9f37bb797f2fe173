"""Training: a trainer that can be stopped, killed and resumed, its options, and the parts of a step."""

from wellposed.training.denoising import Denoising
from wellposed.training.fine_tuning import FineTuned, Lesson, Progress, fine_tune, lesson
from wellposed.training.options import Options, Precision, ScheduleName
from wellposed.training.plan import Exercise
from wellposed.training.recipe import Recipe, read_recipe
from wellposed.training.recipe_run import Prepared, prepare
from wellposed.training.run import Outcome, Report
from wellposed.training.schedule import learning_rate_at
from wellposed.training.stop import Reason
from wellposed.training.trainer import Trainer
from wellposed.training.weighting import snr_weight

__all__ = [
    "Denoising",
    "Exercise",
    "FineTuned",
    "Lesson",
    "Options",
    "Outcome",
    "Precision",
    "Prepared",
    "Progress",
    "Reason",
    "Recipe",
    "Report",
    "ScheduleName",
    "Trainer",
    "fine_tune",
    "learning_rate_at",
    "lesson",
    "prepare",
    "read_recipe",
    "snr_weight",
]
