"""The report of a suite as Markdown: scores beside published figures, then time and weights, then what has no score."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from wellposed.verbs.suite_report import Cell, SuiteReport
from wellposed.verbs.suites import Case, Suite

__all__ = ["markdown_tables", "mean_text"]

_NONE = "-"


def markdown_tables(report: SuiteReport, suite: Suite) -> str:
    """Return the tables of a report.

    PSNR in dB and SSIM, means over the images; a dash where a method gives nothing, with the reason below.

    Parameters
    ----------
    report : SuiteReport
    suite : Suite
        Whose cases and methods give rows and columns; those without any cell are left out.

    Returns
    -------
    str
    """
    cases = [case for case in suite.cases if any(_cell(report, case, method) for method in suite.methods)]
    methods = [method for method in suite.methods if any(_cell(report, case, method) for case in cases)]
    parts = [_scores(report, cases, methods), _costs(report, cases, methods), _notes(report, suite, cases, methods)]
    return "\n".join(part for part in parts if part)


def mean_text(cell: Cell | None) -> str:
    """Return "PSNR / SSIM" of a cell, or a dash."""
    mean = None if cell is None else cell.mean()
    return _NONE if mean is None else f"{mean['psnr']:.2f} / {mean['ssim']:.3f}"


def _cell(report: SuiteReport, case: Case, method: str) -> Cell | None:
    return report.cell(case.task, case.data, method)


def _scores(report: SuiteReport, cases: Sequence[Case], methods: Sequence[str]) -> str:
    authors = list(dict.fromkeys(figure.method for case in cases for figure in case.published))
    header = ["task", "images", *methods, *(f"*{author}, published*" for author in authors), "*published on*"]
    rows = []
    for case in cases:
        cells = [_cell(report, case, method) for method in methods]
        count = max((len(cell.rows) for cell in cells if cell is not None), default=0)
        figures = {figure.method: figure for figure in case.published}
        published = []
        for author in authors:
            figure = figures.get(author)
            ssim = "" if figure is None or figure.ssim is None else f" / {figure.ssim:.3f}"
            published.append("" if figure is None else f"*{figure.psnr:.2f}{ssim}*")
        where = ", ".join(dict.fromkeys(f"*{figure.data}*" for figure in case.published))
        rows.append([case.task, f"{count} of {case.data}", *map(mean_text, cells), *published, where])
    return _table(header, rows, text_columns={0, 1, len(header) - 1})


def _costs(report: SuiteReport, cases: Sequence[Case], methods: Sequence[str]) -> str:
    """Return seconds per image of each data set, and megabytes of weights, for each method."""
    data = list(dict.fromkeys(case.data for case in cases))
    rows = []
    for method in methods:
        seconds = []
        for name in data:
            cells = [_cell(report, case, method) for case in cases if case.data == name]
            means = [mean["seconds"] for cell in cells if cell is not None and (mean := cell.mean())]
            seconds.append(f"{fmean(means):.2f}" if means else _NONE)
        used = {weights for case in cases if (cell := _cell(report, case, method)) for weights in cell.weights}
        rows.append([method, *seconds, f"{sum(each.megabytes for each in used):.1f}" if used else "none"])
    header = ["method", *(f"seconds an image, {name}" for name in data), "megabytes of weights"]
    return _table(header, rows, text_columns={0})


def _notes(report: SuiteReport, suite: Suite, cases: Sequence[Case], methods: Sequence[str]) -> str:
    why: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        for method in methods:
            cell = _cell(report, case, method)
            if cell is not None and cell.reason is not None:
                why.setdefault((method, cell.reason), []).append(case.task)
    lines = [f"- {method} has no score on {', '.join(tasks)}: {reason}" for (method, reason), tasks in why.items()]
    margins: dict[int, list[str]] = {}
    for case in cases:
        margins.setdefault(case.margin, []).append(case.task)
    for margin, tasks in margins.items():
        if margin:
            lines.append(f"- {', '.join(tasks)}: without the {margin} pixels along each border.")
    for name in dict.fromkeys(case.data for case in cases):
        title = suite.dataset(name).title
        lines += [f"- {name}: {title}."] if title else []
    lines += [f"- Published: {source}." for source in _sources(cases)]
    machines = dict.fromkeys(cell.machine for cell in report.cells if cell.machine)
    lines += [f"- Measured on {machine}, seed {report.seed}." for machine in machines]
    return "".join(f"{line}\n" for line in lines)


def _sources(cases: Iterable[Case]) -> list[str]:
    return list(dict.fromkeys(figure.source for case in cases for figure in case.published))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, text_columns: set[int]) -> str:
    rule = ["---" if index in text_columns else "---:" for index in range(len(header))]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, rule, *rows])
