"""`wellposed evaluate`: the scores of a method over a folder of pictures, or of all methods over a suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Quiet, Seed
from wellposed.cli._screen import progress, say, show
from wellposed.core.errors import ArgumentError

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from wellposed.verbs.evaluate import BlindEvaluation, Evaluation
    from wellposed.verbs.suite_report import SuiteReport
    from wellposed.verbs.suites import Suite

__all__ = ["evaluate"]

_ALL = "all"


def evaluate(
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of pictures; with --suite, the folder that holds those of its data sets; without ground "
            "truth and task, a measurement file or a folder of them."
        ),
    ],
    task: Annotated[
        str | None,
        typer.Option(help="A named task; 'wellposed tasks' lists them. With --suite, only this one of its tasks."),
    ] = None,
    suite: Annotated[str | None, typer.Option(help="A suite of tasks, data sets and methods: papers.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="auto (the default), adjoint, pinv, fbp, tv, wavelet, pnp, red, dpir, dip, ram, all (but dip, which "
            "is slow), or a model file. Of a suite: all its methods, or one."
        ),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            help="Write all scores to this file too. With --suite or all methods, a file that is there is continued."
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables of a suite to this Markdown file too.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first pictures, by name.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Recover so many pictures of one size together.")] = 1,
    margin: Annotated[
        int, typer.Option(min=0, help="Leave so many pixels along each border out of the scores; a suite has its own.")
    ] = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    *,
    without_ground_truth: Annotated[
        bool,
        typer.Option("--without-ground-truth", help="Score by measurements that are kept back from the method."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Measure and recover each picture of a folder, and give PSNR, SSIM and seconds, beside those of a naive method.

    The naive reconstruction is the adjoint or the pseudo-inverse, whichever has the higher PSNR. With --suite, or with
    --method all, several methods are compared instead.
    """
    from wellposed.core.names import check_name
    from wellposed.verbs.suites import SUITES, suite_of_folder

    for file, suffix in ((json, ".json"), (markdown, ".md")):
        if file is not None:
            check_output(file, suffixes=(suffix,))
    where = checked_device(device)
    options = _Options(limit=limit, seed=seed, batch=batch, device=where)
    files = (json, markdown)
    if without_ground_truth:
        if suite is not None or method == _ALL or markdown is not None or batch != 1 or margin:
            raise ArgumentError("--without-ground-truth goes with one --method, and with --task, --json and --limit.")
        _run_blind(task, data, method or "auto", json, options, quiet=quiet)
        return
    if suite is not None:
        chosen = SUITES[check_name("suite", suite, SUITES)]
        methods = None if method in (None, _ALL) else [method]
        tasks = None if task is None else [task]
        _run_suite(chosen, data, files, options, quiet=quiet, tasks=tasks, methods=methods)
        return
    if task is None:
        raise ArgumentError("evaluate expects --task NAME or --suite NAME: 'wellposed tasks' lists the tasks.")
    if method == _ALL:
        from wellposed.data import get_task, list_images

        get_task(task)
        list_images(data)
        _run_suite(suite_of_folder(task, data, margin=margin), data.resolve().parent, files, options, quiet=quiet)
        return
    if markdown is not None:
        raise ArgumentError("--markdown is for --suite or --method all: a single method is written with --json.")
    _run_method(task, data, method or "auto", json, options, margin=margin, quiet=quiet)


class _Options(TypedDict):
    limit: int | None
    seed: int
    batch: int
    device: torch.device


def _run_method(
    task: str, data: Path, method: str, json: Path | None, options: _Options, *, margin: int, quiet: bool
) -> None:
    from wellposed.core.files import atomic_path
    from wellposed.data import list_images
    from wellposed.verbs._model_files import named_method
    from wellposed.verbs.evaluate import evaluate as score

    pictures = list_images(data)[: options["limit"]]
    with progress(f"{task} by {method}", len(pictures), quiet=quiet) as update:
        result = score(
            task,
            pictures,
            named_method(method, device=options["device"]),
            seed=options["seed"],
            batch=options["batch"],
            margin=margin,
            device=options["device"],
            callback=lambda done: update(done, len(pictures)),
        )
    if json is not None:
        with atomic_path(json) as temporary:
            temporary.write_text(result.to_json(), encoding="utf-8")
    show(_table(result), quiet=quiet)


def _run_blind(task: str | None, data: Path, method: str, json: Path | None, options: _Options, *, quiet: bool) -> None:
    from wellposed.core.files import atomic_path
    from wellposed.verbs._model_files import named_method
    from wellposed.verbs.evaluate import evaluate as score

    files = _measurement_files(data) if task is None else _pictures(data)
    files = files[: options["limit"]]
    with progress(f"{task or data.name} by {method}, without ground truth", len(files), quiet=quiet) as update:
        result = score(
            task,
            files,
            named_method(method, device=options["device"]),
            seed=options["seed"],
            device=options["device"],
            callback=lambda done: update(done, len(files)),
            without_ground_truth=True,
        )
    if json is not None:
        with atomic_path(json) as temporary:
            temporary.write_text(result.to_json(), encoding="utf-8")
    show(_blind_table(result), quiet=quiet)


def _pictures(folder: Path) -> list[Path]:
    from wellposed.data import list_images

    return list_images(folder)


def _measurement_files(path: Path) -> list[Path]:
    from wellposed.core.files import MissingFileError, existing_file

    if not path.is_dir():
        return [existing_file(path)]
    files = sorted(path.glob("*.safetensors"))
    if not files:
        raise MissingFileError(f"{path} holds no measurement files (.safetensors): name pictures with --task.")
    return files


def _run_suite(
    suite: Suite,
    data: Path,
    files: tuple[Path | None, Path | None],
    options: _Options,
    *,
    quiet: bool,
    tasks: list[str] | None = None,
    methods: list[str] | None = None,
) -> None:
    from wellposed.core.files import atomic_path
    from wellposed.verbs.evaluate_suite import evaluate_suite
    from wellposed.verbs.suite_table import markdown_tables

    json, markdown = files
    with progress(f"evaluating {suite.name}", quiet=quiet) as update:
        report = evaluate_suite(suite, data, path=json, tasks=tasks, methods=methods, callback=update, **options)
    if markdown is not None:
        with atomic_path(markdown) as temporary:
            temporary.write_text(markdown_tables(report, suite), encoding="utf-8")
    show(_suite_table(report, suite), quiet=quiet)
    reasons = dict.fromkeys((cell.method, cell.reason) for cell in report.cells if cell.reason is not None)
    for method, reason in reasons:
        say(f"{method}: {reason}", quiet=quiet)


def _table(result: Evaluation) -> Table:
    from rich.table import Table

    table = Table("picture", title=f"{result.task} by {result.method}, seed {result.seed}")
    for column in ("naive PSNR", "naive SSIM", "PSNR", "SSIM", "seconds"):
        table.add_column(column, justify="right")
    for row in result.rows:
        table.add_row(row.image, *_numbers(vars(row)))
    table.add_section()
    table.add_row("mean", *_numbers(result.mean()), style="bold")
    return table


def _blind_table(result: BlindEvaluation) -> Table:
    from rich.table import Table

    table = Table("measurements", "kept back", title=f"without ground truth by {result.method}, seed {result.seed}")
    table.add_column("squared error", justify="right")
    table.add_column("seconds", justify="right")
    for row in result.rows:
        noise = "" if row.noise_is_removed else " + noise"
        table.add_row(row.name, row.scheme, f"{row.error:.3g}{noise}", f"{row.seconds:.2f}")
    table.add_section()
    mean = result.mean()
    table.add_row("mean", "", f"{mean['error']:.3g}", f"{mean['seconds']:.2f}", style="bold")
    return table


def _numbers(scores: dict[str, float]) -> list[str]:
    formats = {"naive_psnr": ".2f", "naive_ssim": ".3f", "psnr": ".2f", "ssim": ".3f", "seconds": ".2f"}
    return [format(scores[name], spec) for name, spec in formats.items()]


def _suite_table(report: SuiteReport, suite: Suite) -> Table:
    """Return PSNR and SSIM of each method on each task."""
    from rich.table import Table

    from wellposed.verbs.suite_table import mean_text

    table = Table("task", "data", title=f"{report.suite}, PSNR / SSIM, seed {report.seed}")
    used = {cell.method for cell in report.cells}
    methods = [method for method in suite.methods if method in used]
    for method in methods:
        table.add_column(method, justify="right")
    for case in suite.cases:
        cells = [report.cell(case.task, case.data, method) for method in methods]
        if any(cells):
            table.add_row(case.task, case.data, *map(mean_text, cells))
    return table
