"""Write the averaged weights of a run as a model file in half precision: `python weights/export.py runs/NAME FILE`."""

import sys
from pathlib import Path

from wellposed.models import save_model
from wellposed.training import read_recipe
from wellposed.training.checkpoint import read_checkpoint

_USAGE = "usage: python weights/export.py FOLDER_OF_THE_RUN FILE.safetensors\n"
_DENOISER = "denoiser."


def export(run: Path, file: Path) -> None:
    """Read the newest checkpoint of a run, light or not, and write the network of its recipe with its average."""
    average = read_checkpoint(run).part("ema")
    network = read_recipe(run / "recipe.yaml").model.build()
    network.load_state_dict({name.removeprefix(_DENOISER): weight for name, weight in average.items()})
    save_model(file, network.half())


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(_USAGE)
    export(Path(sys.argv[1]), Path(sys.argv[2]))
