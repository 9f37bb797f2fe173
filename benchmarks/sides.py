"""The two sides of a comparison, each measured in a subprocess of its own, with the same number of threads."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["IMPORT", "Astra", "Ours", "Peer"]

IMPORT = "import"
"""The workload that is no call: what importing the package adds to importing torch, in a fresh process.

Ours loads its folders when they are first used, so that the import alone and the import with first use are two things.
"""

_OUR_IMPORTS = {
    "alone": "import wellposed",
    "with first use": (
        "import wellposed as wp; wp.Physics, wp.operators.Blur, wp.noise.Gaussian, wp.metrics.psnr, wp.reconstruct"
    ),
}
_PEER_IMPORTS = {"with first use": "import deepinv"}
_IMPORT_PROBE = "import time, torch; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
_VERSIONS_PROBE = (
    "import json, platform; from importlib.metadata import version; "
    "packages = {{name: version(name) for name in ('torch', '{package}')}}; "
    "print(json.dumps({{'python': platform.python_version(), **packages}}))"
)
_RETURN_FREED_BLOCKS = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}


@dataclass(frozen=True)
class Ours:
    """The package in this checkout, run by the interpreter that runs the benchmark."""

    threads: int
    repeat: int

    def seconds(self, workload: str) -> dict[str, float]:
        """Return the median seconds of each direction."""
        if workload == IMPORT:
            return _import_seconds(sys.executable, _OUR_IMPORTS, self.threads, self.repeat)
        return self._measure(workload)

    def peak_mib(self, workload: str) -> dict[str, float | None]:
        """Return the peak memory of each direction, above the inputs."""
        if workload == IMPORT:
            return dict.fromkeys(_OUR_IMPORTS)
        return self._measure(workload, "--memory", environment=_RETURN_FREED_BLOCKS)

    def versions(self) -> dict[str, str]:
        """Return the versions of Python, torch and wellposed."""
        return json.loads(_output([sys.executable, "-c", _VERSIONS_PROBE.format(package="wellposed")], self.threads))

    def _measure(self, workload: str, *flags: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.measure", workload, *flags]
        options = ["--repeat", str(self.repeat), "--threads", str(self.threads)]
        return json.loads(_output([*command, *options], self.threads, environment))


@dataclass(frozen=True)
class Astra:
    """ASTRA's projector with linear interpolation, on the CPU, where the peer's environment has it."""

    python: str
    script: Path
    threads: int

    def seconds(self, workload: str) -> dict[str, float]:
        """Return the median seconds of each direction; empty for all but the workload that its script measures."""
        if workload != "ct_parallel_256_180_b1" or not self._is_installed():
            return {}
        measured = json.loads(_output([self.python, str(self.script)], self.threads))
        return {direction: measured[f"linear.{direction}"] for direction in ("forward", "adjoint")}

    def _is_installed(self) -> bool:
        probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('astra') is None)"
        return subprocess.run([self.python, "-c", probe], check=False).returncode == 0


@dataclass(frozen=True)
class Peer:
    """DeepInverse in an environment of its own, measured by the peer's script."""

    environment: Path
    script: Path
    threads: int
    repeat: int

    def seconds(self, workload: str) -> dict[str, float]:
        """Return the median seconds of each direction; empty where the peer has no such workload."""
        if workload == IMPORT:
            return _import_seconds(self.python, _PEER_IMPORTS, self.threads, self.repeat)
        options = ["--only", workload, "--repeat", str(self.repeat), "--threads", str(self.threads)]
        measured = json.loads(_output([self.python, str(self.script), *options], self.threads))
        prefix = workload + "."
        return {name.removeprefix(prefix): seconds for name, seconds in measured.items() if name.startswith(prefix)}

    def versions(self) -> dict[str, str]:
        """Return the versions of Python, torch and DeepInverse."""
        return json.loads(_output([self.python, "-c", _VERSIONS_PROBE.format(package="deepinv")], self.threads))

    @property
    def astra(self) -> Astra:
        """The third side, in the same environment."""
        return Astra(self.python, self.script.with_name("bench_astra.py"), self.threads)

    @property
    def python(self) -> str:
        """The interpreter of the environment."""
        return str(self.environment / "bin" / "python")


def _import_seconds(python: str, statements: dict[str, str], threads: int, repeat: int) -> dict[str, float]:
    medians = {}
    for name, statement in statements.items():
        probe = [python, "-W", "ignore", "-c", _IMPORT_PROBE.format(statement=statement)]
        _output(probe, threads)
        medians[name] = statistics.median(float(_output(probe, threads)) for _ in range(repeat))
    return medians


def _output(command: list[str], threads: int, environment: dict[str, str] | None = None) -> str:
    limits = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    process = subprocess.run(
        command, env=os.environ | limits | (environment or {}), capture_output=True, text=True, check=False
    )
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{process.stderr.strip()}")
    return process.stdout
