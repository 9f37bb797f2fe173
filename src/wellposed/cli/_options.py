"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Where to compute: cpu, cuda, cuda:1, mps, ...")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Neither progress nor results on screen: only errors.")]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**63 - 1, help="Of the random operator and of the noise: same seed, same measurements."),
]
TaskName = Annotated[str, typer.Option("--task", help="A named task; 'wellposed tasks' lists them.")]
Method = Annotated[
    str,
    typer.Option(
        help="adjoint, pinv (pseudo-inverse), fbp (filtered backprojection, of sinograms), tv (total variation), "
        "wavelet, pnp, red, dpir (plug-and-play with a denoiser), dip (deep image prior, slow), ram (network), or "
        "auto: ram where its weights are installed and it fits, else tv. Or a model file, .safetensors."
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
