"""Real slices by few views: python -m benchmarks.ct_slices FOLDER writes the table of docs/guide/tomography.md.

FOLDER holds 16-bit pictures of HU + 1024. Each is measured by the task `ct-51` in the lung window, and recovered by
filtered backprojection and by total variation.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import wellposed as wp
from benchmarks.report import with_table, write_whole
from wellposed.verbs.suites import DATASETS

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "guide" / "tomography.md"
_METHODS = {"fbp": '`"fbp"`, ramp', "tv": '`"tv"`'}


def main() -> None:
    """Measure all pictures of a folder, or the first ones, and write the table where it is of all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.png"))
    scores = []
    for path in paths[: options.limit]:
        scores.append(_scores(path))
        print(path.name, scores[-1], flush=True)
    table = _table(scores)
    print(table)
    if options.limit is None:
        write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "ct-slices-table", table))


def _scores(path: Path) -> dict[str, tuple[float, float]]:
    """Return PSNR and SSIM of each method."""
    x = DATASETS["ct"].fitted(wp.data.read_image(path))
    y, physics = wp.data.get_task("ct-51").sample(x, generator=torch.Generator().manual_seed(0))
    scores = {}
    for method in _METHODS:
        recovered = wp.reconstruct(y, physics, method=method)
        quality = [metric(recovered, x, data_range=1.0).item() for metric in (wp.metrics.psnr, wp.metrics.ssim)]
        scores[method] = (quality[0], quality[1])
    return scores


def _table(scores: list[dict[str, tuple[float, float]]]) -> str:
    lines = ["| method | PSNR | SSIM |", "| --- | ---: | ---: |"]
    for method, label in _METHODS.items():
        psnr, ssim = (sum(score[method][i] for score in scores) / len(scores) for i in range(2))
        lines.append(f"| {label} | {psnr:.2f} dB | {ssim:.3f} |")
    lead = min(score["tv"][0] - score["fbp"][0] for score in scores)
    return "\n".join([*lines, "", f"{len(scores)} slices; total variation wins by {lead:.1f} dB or more on each."])


if __name__ == "__main__":
    main()
