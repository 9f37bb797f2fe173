"""Bad input ends with one sentence on stderr and exit code 2, never with a traceback, and leaves nothing behind."""

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from wellposed import noise, operators
from wellposed.cli.application import application
from wellposed.data import save_measurements, write_image
from wellposed.physics import Physics


def refused(*arguments, code=2):
    """Return the one sentence that a command ends with."""
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("wellposed: ")
    return result.stderr


def measurements(path, value=1.0, shape=(1, 3, 8, 8), batch=1):
    y = torch.full((batch, *shape[1:]), value)
    save_measurements(path, y, Physics(operators.Identity(shape[1:]), noise.Gaussian(0.1)))
    return path


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Fill the working folder with what commands may be given by mistake."""
    monkeypatch.chdir(tmp_path)
    write_image("photo.png", torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0)))
    write_image("grey.png", torch.ones(1, 1, 12, 12))
    (tmp_path / "text.png").write_text("not a picture", encoding="utf-8")
    (tmp_path / "cut.png").write_bytes((tmp_path / "photo.png").read_bytes()[:60])
    write_image("batch.npy", torch.ones(2, 3, 12, 12))
    write_image("complex.npy", torch.full((1, 3, 40, 40), 1j))
    (tmp_path / "zero.tif").write_bytes(b"")
    (tmp_path / "lost.tif").write_bytes(b"II*\0\x08\xff\0\0")
    write_image("volume.npy", torch.ones(1, 1, 4, 12, 12))
    (tmp_path / "empty").mkdir()
    (tmp_path / "scores.json").write_text("{}", encoding="utf-8")
    (tmp_path / "greys").mkdir()
    write_image("greys/one.png", torch.ones(1, 1, 12, 12))
    whole = measurements("y.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / whole).read_bytes()[:-50])
    save_file({"weight": torch.ones(2)}, "foreign.safetensors")
    measurements("nan.safetensors", float("nan"))
    measurements("inf.safetensors", float("inf"))
    measurements("batch.safetensors", batch=2)
    measurements("y-of-bands.safetensors", shape=(1, 5, 8, 8))
    lost = operators.Mask(torch.full((1, 1, 8, 8), torch.nan), (3, 8, 8))
    save_measurements("lost.safetensors", torch.ones(1, 3, 8, 8), Physics(lost, noise.Gaussian(0.1)))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            "simulate photo.png --task moton-medium -o z.safetensors",
            "did you mean 'motion-medium'? 'wellposed tasks' lists",
        ),
        ("simulate none.png --task sr4 -o z.safetensors", "no such file: none.png"),
        ("simulate empty --task sr4 -o z.safetensors", "expected a file, and empty is a folder"),
        ("simulate text.png --task sr4 -o z.safetensors", "not a PNG, JPEG or BMP image"),
        ("simulate cut.png --task sr4 -o z.safetensors", "truncated or damaged"),
        ("simulate zero.tif --task sr4 -o z.safetensors", "zero.tif is not a TIFF image"),
        ("simulate lost.tif --task sr4 -o z.safetensors", "lost.tif cannot be read as .tif"),
        ("simulate photo.xyz --task sr4 -o z.safetensors", "no such file"),
        ("simulate photo.png --task motion-easy -o z.safetensors", "images of at least 31 x 31 pixels, got 12 x 12"),
        ("simulate grey.png --task demosaic -o z.safetensors", "needs colour images (B, 3, H, W), got (1, 1, 12, 12)"),
        ("simulate volume.npy --task sr4 -o z.safetensors", "expects images of shape"),
        ("simulate photo.png --task sr4 -o z.png", "end its name in .safetensors"),
        ("simulate photo.png --task sr4 -o none/z.safetensors", "no such folder"),
        ("simulate photo.png --task sr4 -o empty", "empty is a folder"),
        ("simulate foreign.safetensors --task sr4 -o foreign.safetensors", "is the input: choose another name"),
        ("simulate photo.png --task sr4 -o z.safetensors --device gpu", "there is no device 'gpu' here: cpu"),
        ("simulate photo.png --task sr4 -o z.safetensors --device meta", "there is no device 'meta' here"),
        ("reconstruct none.safetensors -o x.png", "no such file: none.safetensors"),
        ("reconstruct empty -o x.png", "empty is a folder"),
        ("reconstruct cut.safetensors -o x.png", "not a measurement file, or it is truncated"),
        ("reconstruct photo.png -o x.png", "not a measurement file"),
        ("reconstruct foreign.safetensors -o x.png", "no measurement file"),
        ("reconstruct nan.safetensors -o x.png", "NaN"),
        ("reconstruct inf.safetensors -o x.png", "infinity"),
        ("reconstruct lost.safetensors -o x.png --method adjoint", "the image from lost.safetensors holds NaN"),
        ("reconstruct y.safetensors -o x.png --method tw", "unknown method 'tw'"),
        ("reconstruct y.safetensors -o x.xyz", "x.xyz cannot be written: end its name in .png"),
        ("reconstruct y.safetensors -o y.safetensors", "is the input: choose another name"),
        ("reconstruct y.safetensors -o none/x.png", "no such folder"),
        ("reconstruct y.safetensors -o x.png --device cuda:99", "there is no device 'cuda:99' here"),
        (
            "reconstruct batch.safetensors -o x.png",
            "x.png holds one image, and these are the measurements of 2: write to",
        ),
        (
            "reconstruct batch.safetensors -o x.tif",
            "x.tif holds one image, and these are the measurements of 2: write to",
        ),
        (
            "reconstruct y-of-bands.safetensors -o x.png",
            "one or three channels, and this one has the shape (5, 8, 8): write to",
        ),
        ("evaluate --task sr5 --data greys", "unknown task 'sr5'; did you mean 'sr"),
        ("evaluate --task sr4 --data none", "no such folder"),
        ("evaluate --task sr4 --data photo.png", "photo.png is a file"),
        ("evaluate --task sr4 --data empty", "holds no image"),
        ("evaluate --task sr4 --data greys --method dncn", "unknown method 'dncn'"),
        ("evaluate --task demosaic --data greys", "one.png: the task demosaic needs colour images"),
        ("evaluate --task sr4 --data . --method pinv", "batch.npy: a trial expects one image of shape"),
        ("evaluate --task sr4 --data greys --json none/out.json", "no such folder"),
        ("evaluate --task sr4 --data greys --json greys", "greys is a folder"),
        ("evaluate --task sr4 --data greys --json out.txt", "end its name in .json"),
        ("evaluate --data greys", "expects --task NAME or --suite NAME"),
        ("evaluate --data greys --suite paper", "unknown suite 'paper'; did you mean 'papers'"),
        ("evaluate --data greys --suite papers", "no such folder"),
        ("evaluate --data greys --suite papers --task sr5", "unknown task of the suite papers 'sr5'; did you mean 'sr"),
        ("evaluate --data greys --suite papers --method tw", "unknown method 'tw'"),
        ("evaluate --data greys --task sr5 --method all", "unknown task 'sr5'; did you mean 'sr"),
        ("evaluate --data empty --task sr4 --method all", "holds no image"),
        ("evaluate --data greys --task sr4 --markdown out.md", "--markdown is for --suite or --method all"),
        ("evaluate --data greys --task sr4 --method all --markdown out.txt", "end its name in .md"),
        (
            "evaluate --data greys --task sr4 --method all --json scores.json",
            "scores.json holds no evaluation of a suite",
        ),
        ("demo -o demo.xyz", "end its name in .png"),
        ("demo --photo none.png", "no such file"),
        ("demo --photo text.png", "not a PNG, JPEG or BMP image"),
        ("demo --photo photo.png -o photo.png", "is the input"),
        ("demo --photo photo.png", "at least 31 x 31 pixels"),
        ("demo --photo complex.npy", "the demonstration expects real photographs, got torch.complex64"),
        (
            "demo --photo volume.npy",
            "the demonstration expects photographs of shape (B, 3, H, W), got (1, 3, 4, 12, 12)",
        ),
        ("demo --markdown table.txt", "end its name in .md"),
        ("doctor --device tpu", "there is no device 'tpu' here"),
        ("doctor mymodule", "for the file mymodule.py here, got 'mymodule'"),
        ("doctor :x", "expects module:object"),
        ("doctor mymodule.py:x", "for the file mymodule.py here, got 'mymodule.py:x'"),
        ("doctor ./mymodule:x", "doctor expects module:object"),
        ("doctor no_such_module:x", "the import of no_such_module:x raised ModuleNotFoundError"),
        ("doctor math:taw", "unknown object of math 'taw'; did you mean 'tau'"),
        ("doctor math:pi", "math:pi is or returns an object of type float"),
        ("doctor math:sin", "the call of math:sin raised TypeError"),
        ("doctor time:time", "time:time is or returns an object of type float"),
    ],
)
def test_one_sentence(files, command, sentence):
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    assert sentence in refused(*command.split())
    assert {path: path.read_bytes() for path in files.rglob("*") if path.is_file()} == before


def test_an_operator_that_forgot_its_base(files):
    code = """
from wellposed.operators import LinearOperator

class Forgetful(LinearOperator):
    def __init__(self): pass
    def _forward(self, x): return x
"""
    (files / "forgetful.py").write_text(code, encoding="utf-8")
    assert "let its constructor call super().__init__(" in refused("doctor", "forgetful:Forgetful")
    sys.modules.pop("forgetful", None)


@pytest.mark.parametrize("code", ["1 / 0", "raise SystemExit('stop')", "def f(", "raise KeyError"])
def test_errors_in_the_users_module(files, code):
    (files / "their_module.py").write_text(code, encoding="utf-8")
    assert "the import of their_module:x raised" in refused("doctor", "their_module:x")
    sys.modules.pop("their_module", None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate"],
        ["simulate", "photo.png", "--task", "sr4"],
        ["simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors", "--seed", "one"],
        ["simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors", "--seed", "-1"],
        ["simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors", "--seed", str(2**63)],
        ["reconstruct", "y.safetensors", "-o", "x.png", "--metod", "tv"],
        ["evaluate", "--task", "sr4", "--data", "greys", "--limit", "0"],
        ["demo", "--size", "8"],
        ["reconstrct"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage(files, arguments):
    result = CliRunner().invoke(application, arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert isinstance(result.exception, SystemExit)


def test_nothing_to_do_shows_the_help():
    result = CliRunner().invoke(application, [])
    assert result.exit_code == 2
    assert "simulate" in result.output


def test_interruption_is_130_without_a_traceback(files, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("wellposed.data.read_image", interrupted)
    result = CliRunner().invoke(application, ["simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors"])
    assert result.exit_code == 130
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError(13, "Permission denied", "photo.png"), "photo.png: Permission denied."),
        (OSError(28, "No space left on device"), "No space left on device."),
    ],
    ids=["with a file", "without"],
)
def test_what_the_system_refuses(files, monkeypatch, error, expected):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr("wellposed.data.read_image", refuse)
    sentence = refused("simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors")
    assert sentence == f"wellposed: {expected}\n"


def test_a_defect_of_wellposed_is_not_hidden(files, monkeypatch):
    def defect(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("wellposed.data.read_image", defect)
    result = CliRunner().invoke(application, ["simulate", "photo.png", "--task", "sr4", "-o", "z.safetensors"])
    assert isinstance(result.exception, ZeroDivisionError)


def module(*arguments, code=None):
    command = ["-m", "wellposed", *arguments] if code is None else ["-c", code]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=environment)


def test_as_a_module_in_a_process_of_its_own(files):
    result = module("simulate", "none.png", "--task", "sr4", "-o", "z.safetensors")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("wellposed: no such file: none.png")
    assert result.stderr.count("\n") == 1


def test_readers_of_formats_log_nothing_on_the_screen(files):
    """The package that reads TIFF logs what it thinks of a damaged one."""
    result = module("simulate", "lost.tif", "--task", "sr4", "-o", "z.safetensors")
    assert result.returncode == 2
    assert result.stderr.startswith("wellposed: lost.tif cannot be read")
    assert result.stderr.count("\n") == 1


def test_ctrl_c_in_the_middle_of_an_evaluation(files):
    """The first picture interrupts: exit code 130, no traceback, no scores half written; background jobs ignore it."""
    code = """
import signal
import wellposed.verbs.measured as verb
from wellposed.cli.main import main

def interrupted(*_, **__):
    signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
verb.reconstruct = interrupted
main()
"""
    arguments = ["evaluate", "--task", "denoise-easy", "--data", "greys", "--json", "out.json"]
    result = module(code=f"import sys; sys.argv[1:] = {arguments}\n{code}")
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
    assert [path.name for path in files.iterdir() if path.suffix == ".json"] == ["scores.json"]


def test_help_loads_neither_torch_nor_plotting():
    code = """
import sys
from wellposed.cli.main import main
sys.argv = ["wellposed", "--help"]
try: main()
except SystemExit as stop: assert stop.code == 0, stop.code
print("loaded:", *sorted({"torch", "numpy", "matplotlib", "skimage", "PIL"} & set(sys.modules)))
"""
    result = module(code=code)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded:"


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_it_says_which_one(package):
    code = f"import sys; sys.modules[{package!r}] = None; from wellposed.cli.main import main; main()"
    result = module(code=code)
    assert result.returncode == 2
    assert result.stderr == f"wellposed: {package} is not installed: pip install 'wellposed[cli]' brings it.\n"
