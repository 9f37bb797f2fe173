"""What is kept of the measurements: results.json, merged with earlier runs, and the table in the documentation."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from wellposed.core.files import atomic_path

__all__ = ["direction_entry", "merged", "read_json", "table", "with_errors", "with_table", "write_whole"]

Results = dict[str, Any]


def direction_entry(ours: list[float], peer: list[float], peak_mib: float | None) -> Results:
    """Summarise one direction: the median over the rounds, the least and the most, and how many times faster we are.

    Parameters
    ----------
    ours, peer : list of float
        Median seconds of each round; `peer` is empty where there is none.
    peak_mib : float or None
    """
    entry: Results = {"seconds": statistics.median(ours), "seconds_range": [min(ours), max(ours)], "peak_mib": peak_mib}
    if peer:
        entry |= {"peer_seconds": statistics.median(peer), "peer_seconds_range": [min(peer), max(peer)]}
        entry["ratio"] = entry["peer_seconds"] / entry["seconds"]
    return entry


def merged(earlier: Results, now: Results) -> Results:
    """Return `now`, together with the workloads that only an earlier run measured."""
    versions = {**earlier.get("versions", {}), **now["versions"]}
    workloads = {**earlier.get("workloads", {}), **now["workloads"]}
    return {**now, "versions": versions, "workloads": dict(sorted(workloads.items()))}


def table(results: Results) -> str:
    """Return the results as a Markdown table, one row a workload and direction."""
    lines = [
        "| workload | direction | wellposed | DeepInverse | times faster | peak memory | measured |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, workload in results["workloads"].items():
        if "skipped" in workload:
            lines.append(f"| `{name}` | skipped: {workload['skipped']} |  |  |  |  | {workload['date']} |")
        for direction, entry in workload["directions"].items():
            cells = [
                f"`{name}`",
                with_errors(direction, entry),
                _milliseconds(entry["seconds"], entry["seconds_range"]),
                _milliseconds(entry.get("peer_seconds"), entry.get("peer_seconds_range")),
                f"{entry['ratio']:.2f}" if "ratio" in entry else "",
                "" if entry["peak_mib"] is None else f"{entry['peak_mib']:.0f} MiB",
                workload["date"],
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _circumstances(results)])


def with_errors(direction: str, entry: Results) -> str:
    """Return a direction with the errors of its result and of the peer's, and a third side, where they are known."""
    ours = f", error {entry['error']:.1e}" if "error" in entry else ""
    peers = f", the peer's {entry['peer_error']:.1e}" if "peer_error" in entry else ""
    astra = f", {entry['astra_ratio']:.2f} times faster than ASTRA" if "astra_ratio" in entry else ""
    return direction + ours + peers + astra


def _milliseconds(seconds: float | None, spread: list[float] | None) -> str:
    if seconds is None or spread is None:
        return ""
    least, most = (1e3 * value for value in spread)
    return f"{1e3 * seconds:.2f} ms ({least:.2f} to {most:.2f})"


def _circumstances(results: Results) -> str:
    machine, versions = results["machine"], results["versions"]
    packages = "; ".join(
        f"{side}: " + ", ".join(f"{name} {number}" for name, number in numbers.items())
        for side, numbers in versions.items()
    )
    return (
        f"Last run on {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:.0f} GiB, "
        f"{results['threads']} threads, float32; {packages}."
    )


def with_table(page: str, name: str, rows: str) -> str:
    """Return a page with the part between the markers `<!-- name -->` and `<!-- /name -->` replaced by `rows`.

    Raises
    ------
    ValueError
        If the page lacks a marker.
    """
    opening, closing = f"<!-- {name} -->", f"<!-- /{name} -->"
    head, begin, rest = page.partition(opening)
    _, end, tail = rest.partition(closing)
    if not (begin and end):
        raise ValueError(f"the page needs the markers {opening} and {closing}, in this order.")
    return f"{head}{opening}\n{rows}\n{closing}{tail}"


def read_json(path: Path) -> Results:
    """Return the object in a JSON file, or an empty one where there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever reads it meanwhile sees the old one or the new one."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
