"""What a user gets from `pip install wellposed` and from `import wellposed`, before calling anything."""

import importlib
import importlib.metadata
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import wellposed as wp

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path(wp.__file__).parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
)
HEAVY = ["PIL", "imageio", "matplotlib", "rich", "scipy", "skimage", "tifffile", "torchvision", "typer"]


def in_a_fresh_process(code):
    process = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


def name_of(requirement):
    return re.match(r"[A-Za-z0-9._-]+", requirement).group().lower()


def test_version_is_that_of_the_project_and_is_written_once():
    """The number stands in pyproject.toml; the package reads what was installed."""
    assert wp.__version__ == importlib.metadata.version("wellposed") == PROJECT["version"]
    written = f'"{PROJECT["version"]}"'
    assert [path for path in PACKAGE.rglob("*.py") if written in path.read_text(encoding="utf-8")] == []


def test_import_loads_nothing_heavy():
    """Row 20 of the peer's list: no torchvision, no plotting, no readers of formats at import."""
    code = f"import sys, wellposed; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    assert in_a_fresh_process(code).split() == []


def test_import_says_nothing_and_leaves_torch_as_it_was():
    """No print, no warning, no draw from the user's random numbers, no change of thread count or default dtype."""
    code = """
import torch
def state(): return torch.get_rng_state().tolist(), torch.get_num_threads(), torch.get_default_dtype()
before = state()
import wellposed
assert state() == before
"""
    assert in_a_fresh_process(code) == ""


@pytest.mark.parametrize("name", wp.__all__)
def test_public_face_is_reached_by_attribute(name):
    """Folders are loaded lazily: each name works in a process that has only imported the package."""
    in_a_fresh_process(f"import wellposed; wellposed.{name}")
    assert name in dir(wp)


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_room"):
        _ = wp.no_such_room


@pytest.mark.parametrize("module", MODULES)
def test_public_names_exist_and_are_documented(module):
    """`__all__` names once what is there, and each class and function of it says what it does."""
    module = importlib.import_module(module)
    names = getattr(module, "__all__", [])
    assert len(names) == len(set(names))
    assert module.__doc__
    for name in names:
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert value.__doc__, f"{module.__name__}.{name} has no docstring"


def test_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_files_are_short():
    """DESIGN: 700 lines is the ceiling."""
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: length for path, length in lengths.items() if length > 700} == {}


def test_wheel_holds_one_package():
    """Row 41 of the peer's list: no `docs` nor `examples` at the top of site-packages."""
    assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/wellposed"]}
    packages = {path.parent.relative_to(PACKAGE.parent).parts[0] for path in PACKAGE.parent.rglob("*.py")}
    assert packages == {"wellposed"}


def test_core_dependencies_are_four():
    """Sections 3.3 and 3.4 of the peer's list: neither torchvision nor a plotting package is needed to compute.

    The fourth, filelock, is one of torch's own.
    """
    core = {"torch", "numpy", "safetensors", "filelock"}
    assert {name_of(requirement) for requirement in PROJECT["dependencies"]} == core


def test_requirements_have_floors_and_no_ceilings():
    """An upper pin would make two libraries impossible to install together; constraints.txt pins what CI uses."""
    extras = PROJECT["optional-dependencies"]
    outside = [r for r in sum(extras.values(), PROJECT["dependencies"]) if name_of(r) != "wellposed"]
    assert [r for r in outside if not re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+", r)] == []


def test_extra_all_holds_every_extra_for_users():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"\w+", everything)[1:]) == set(extras) - {"all", "dev", "docs", "mri-cuda"}


def test_constraints_pin_what_the_cli_and_the_tests_need():
    """`pip -c` would quietly take the newest version of whatever is not in the file."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {name_of(line).replace("_", "-") for line in lines if not line.startswith("#")}
    extras = PROJECT["optional-dependencies"]
    needed = {name_of(r).replace("_", "-") for r in PROJECT["dependencies"] + extras["cli"] + extras["dev"]}
    assert needed - pinned == {"wellposed"}
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines if not line.startswith("#"))


def test_command_line_points_at_a_function():
    """The script that pip writes calls it."""
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="wellposed")
    assert callable(entry.load())
