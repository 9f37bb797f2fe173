"""Time wellposed, in turn with a peer where there is one: python -m benchmarks.run [--peer DIR] [--only PREFIX].

Each round measures both sides, one after the other, each in a process of its own; what counts is the median over the
rounds. Results go to benchmarks/results.json, and from there into the table of docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.accuracy import relative_errors
from benchmarks.report import Results, direction_entry, merged, read_json, table, with_errors, with_table, write_whole
from benchmarks.sides import IMPORT, Ours, Peer
from benchmarks.workloads import LONG, WORKLOADS, reason_to_skip

_ROOT = Path(__file__).resolve().parent.parent
_RESULTS = _ROOT / "benchmarks" / "results.json"
_PAGE = _ROOT / "docs" / "benchmarks.md"


def main() -> None:
    """Measure what the command line asks for, and write the results and the table."""
    options = _options()
    ours = Ours(options.threads, options.repeat)
    peer = Peer(options.peer, options.peer_script, options.threads, options.repeat) if options.peer else None
    names = [name for name in (IMPORT, *WORKLOADS) if name.startswith(options.only)]
    if not names:
        raise SystemExit(f"no workload begins with {options.only!r}; there are {', '.join((IMPORT, *WORKLOADS))}.")
    versions = {"wellposed": ours.versions()} | ({"peer": peer.versions()} if peer else {})
    about = {"machine": _machine(), "versions": versions, "threads": options.threads}
    for name in names:
        _keep({**about, "workloads": {name: _compare(name, ours, peer, options.rounds)}})


def _keep(now: Results) -> None:
    """Write what was measured at once, so that a run that ends early loses nothing."""
    results = merged(read_json(_RESULTS), now)
    write_whole(_RESULTS, json.dumps(results, indent=1) + "\n")
    write_whole(_PAGE, with_table(_PAGE.read_text(encoding="utf-8"), "benchmark-table", table(results)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, help="environment where DeepInverse is installed")
    parser.add_argument("--peer-script", type=Path, default=_ROOT.parent / "shared" / "peers" / "bench_deepinv.py")
    parser.add_argument("--only", default="", metavar="PREFIX", help="only the workloads whose names begin so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5, help="calls per round, after a warm-up")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def _compare(name: str, ours: Ours, peer: Peer | None, rounds: int) -> Results:
    """Measure one workload on both sides, round by round, unless this processor has not what it takes."""
    today = datetime.now(tz=UTC).date().isoformat()
    if reason := reason_to_skip(name, _processor("flags").split()):
        print(f"{name}: skipped, {reason}", flush=True)
        return {"date": today, "rounds": 0, "directions": {}, "skipped": reason}
    our_rounds, peer_rounds = [], []
    if name in LONG:
        ours, rounds = replace(ours, repeat=1), 1
    for _ in range(rounds):
        our_rounds.append(ours.seconds(name))
        peer_rounds.append(peer.seconds(name) if peer else {})
    astra = peer.astra.seconds(name) if peer else {}
    peaks = ours.peak_mib(name)
    directions = {
        direction: direction_entry(
            [seconds[direction] for seconds in our_rounds],
            [seconds[direction] for seconds in peer_rounds if direction in seconds],
            peaks[direction],
        )
        for direction in our_rounds[0]
    }
    for direction, errors in relative_errors(name, peer.python if peer else None).items():
        directions[direction] |= errors
    for direction, seconds in astra.items():
        ratio = seconds / directions[direction]["seconds"]
        directions[direction] |= {"astra_seconds": seconds, "astra_ratio": ratio}
    for direction, entry in directions.items():
        ratio = f", {entry['ratio']:.2f} times faster than the peer" if "ratio" in entry else ""
        print(f"{name} {with_errors(direction, entry)}: {1e3 * entry['seconds']:.2f} ms{ratio}", flush=True)
    return {"date": today, "rounds": rounds, "directions": directions}


def _machine() -> Results:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _processor("model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": memory / 2**30,
        "load_average": os.getloadavg()[0],
    }


def _processor(field: str) -> str:
    """Return what Linux says of the first core, or nothing on another system."""
    cores = Path("/proc/cpuinfo")
    lines = cores.read_text(encoding="utf-8").splitlines() if cores.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")


if __name__ == "__main__":
    main()
