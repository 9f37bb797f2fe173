"""The command line on small pictures: each command does what it says, and says it or is quiet."""

import json
import re

import pytest
import torch
from typer.testing import CliRunner

import wellposed
from wellposed.cli.application import application
from wellposed.data import RANDOM_TASKS, TASKS, get_task, load_measurements, read_image, write_image
from wellposed.metrics import psnr
from wellposed.models import ArtifactRemoval, DenoiserTiny, save_model
from wellposed.operators.examples import EXAMPLES
from wellposed.verbs.reconstruct import METHODS, reconstruct


def run(*arguments):
    result = CliRunner().invoke(application, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def done(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result


def picture(seed=0, size=34):
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    write_image(path, picture())
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    for seed, name in enumerate(["b.png", "a.png", "c.png"]):
        write_image(path / name, picture(seed))
    return path


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_simulated_and_reconstructed(photo, tmp_path, task):
    """What comes out has the size of what the task can be applied to, whatever it made of the picture."""
    y, x_hat = tmp_path / "y.safetensors", tmp_path / "x.png"
    done("simulate", photo, "--task", task, "-o", y)
    done("reconstruct", y, "-o", x_hat, "--method", "adjoint")
    fitted = get_task(task).fit(read_image(photo))
    assert read_image(x_hat).shape == fitted.shape


def test_simulate_writes_the_measurements_of_that_seed(photo, tmp_path):
    x = read_image(photo)
    for seed in (0, 5):
        done("simulate", photo, "--task", "inpaint-50", "--seed", seed, "-o", tmp_path / "y.safetensors")
        y, physics = load_measurements(tmp_path / "y.safetensors")
        expected, _ = get_task("inpaint-50").sample(x, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(y, expected)
        assert physics.noise.sigma.item() == pytest.approx(0.01)


@pytest.mark.parametrize("method", ["adjoint", "pinv", "tv"])
def test_reconstruct_writes_what_the_method_gives(photo, tmp_path, method):
    y, x_hat = tmp_path / "y.safetensors", tmp_path / "x.npy"
    done("simulate", photo, "--task", "sr2", "-o", y)
    done("reconstruct", y, "-o", x_hat, "--method", method)
    assert torch.equal(read_image(x_hat), reconstruct(*load_measurements(y), method))


@pytest.mark.parametrize("quiet", [False, True])
def test_a_pseudo_inverse_out_of_reach_is_said_on_stderr(tmp_path, quiet):
    write_image(tmp_path / "photo.png", picture(size=48))
    done("simulate", tmp_path / "photo.png", "--task", "gaussian-hard", "-o", tmp_path / "y.safetensors", "--quiet")
    flags = ("--quiet",) if quiet else ()
    result = done("reconstruct", tmp_path / "y.safetensors", "-o", tmp_path / "x.png", "--method", "pinv", *flags)
    said = "wellposed: pinv: Blur is ill-conditioned: least squares ended after 200 steps"
    assert result.stderr.startswith(said) != quiet


@pytest.mark.parametrize("command", ["reconstruct", "evaluate"])
def test_help_names_every_method(command):
    words = re.findall(r"\w+", done(command, "--help").output)
    assert set(METHODS) <= set(words)


def test_by_default_the_picture_is_recovered_and_the_choice_is_said(photo, tmp_path, monkeypatch):
    monkeypatch.setattr("wellposed.verbs._networks.FOLDER", tmp_path)
    y, x_hat = tmp_path / "y.safetensors", tmp_path / "x.png"
    done("simulate", photo, "--task", "inpaint-50", "-o", y)
    assert done("reconstruct", y, "-o", x_hat).stdout.endswith("by tv, chosen by default\n")
    assert psnr(read_image(x_hat), picture(), data_range=1.0) > 25
    install_network(tmp_path)
    assert done("reconstruct", y, "-o", x_hat).stdout.endswith("by ram, chosen by default\n")
    assert done("reconstruct", y, "-o", x_hat, "--method", "tv").stdout.endswith("by tv\n")


def install_network(folder):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ArtifactRemoval(DenoiserTiny(channels=3, widths=(4, 8), blocks=1))
    save_model(folder / "ram-small.safetensors", network)


def test_complex_images_are_whole_in_arrays_and_magnitudes_in_pictures(photo, tmp_path):
    y = tmp_path / "y.safetensors"
    done("simulate", photo, "--task", "mri-x4", "-o", y)
    for name in ("x.npy", "x.tiff"):
        done("reconstruct", y, "-o", tmp_path / name, "--method", "adjoint")
    whole = read_image(tmp_path / "x.npy")
    assert whole.is_complex()
    assert torch.equal(read_image(tmp_path / "x.tiff"), whole.abs())


def test_evaluate_shows_a_table_and_writes_json(folder, tmp_path):
    report = tmp_path / "out.json"
    result = done("evaluate", "--task", "denoise-medium", "--data", folder, "--method", "adjoint", "--json", report)
    scores = json.loads(report.read_text(encoding="utf-8"))
    assert [row["image"] for row in scores["rows"]] == ["a.png", "b.png", "c.png"]
    assert (scores["task"], scores["method"], scores["seed"]) == ("denoise-medium", "adjoint", 0)
    assert scores["mean"]["psnr"] == pytest.approx(26, abs=0.5)
    for name in ("a.png", "b.png", "c.png"):
        assert name in result.stdout
    (mean,) = re.findall(r"mean.*", result.stdout)
    assert f"{scores['mean']['psnr']:.2f}" in mean
    assert f"{scores['mean']['ssim']:.3f}" in mean


def test_evaluate_takes_the_first_pictures_and_the_seed(folder, tmp_path):
    rows = []
    for options in (["--limit", "1"], ["--limit", "2"], ["--limit", "1", "--seed", "3"]):
        path = tmp_path / "out.json"
        done("evaluate", "--task", "sr4", "--data", folder, "--method", "pinv", "--json", path, *options)
        rows.append(json.loads(path.read_text(encoding="utf-8"))["rows"])
    assert [[row["image"] for row in part] for part in rows] == [["a.png"], ["a.png", "b.png"], ["a.png"]]
    assert rows[0][0]["psnr"] == rows[1][0]["psnr"] != rows[2][0]["psnr"]


def test_evaluate_compares_all_methods_on_a_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("wellposed.verbs._networks.FOLDER", tmp_path)
    report, table = tmp_path / "out.json", tmp_path / "out.md"
    command = ("evaluate", "--task", "denoise-medium", "--data", folder, "--method", "all", "--json", report)
    result = done(*command, "--markdown", table, "--limit", "1", "--batch", "2")
    cells = {cell["method"]: cell for cell in json.loads(report.read_text(encoding="utf-8"))["cells"]}
    assert list(cells) == [method for method in METHODS if method != "dip"]
    assert [row["image"] for row in cells["tv"]["rows"]] == ["a.png"]
    score = f"{cells['tv']['mean']['psnr']:.2f} / {cells['tv']['mean']['ssim']:.3f}"
    assert score in result.stdout
    assert score in table.read_text(encoding="utf-8")
    assert "ram: the weights 'ram-small' are not part" in result.stdout
    assert len(json.loads(report.read_text(encoding="utf-8"))["cells"][0]["rows"]) == 1
    done(*command, "--limit", "2")
    assert len(json.loads(report.read_text(encoding="utf-8"))["cells"][0]["rows"]) == 2


def test_evaluate_runs_a_part_of_a_suite(tmp_path):
    for folder in ("test/cbsd68", "test/set12_gray"):
        (tmp_path / folder).mkdir(parents=True)
        write_image(tmp_path / folder / "one.png", picture()[:, :1])
    report = tmp_path / "out.json"
    options = ("--data", tmp_path, "--limit", "1", "--seed", "4", "--json", report)
    done("evaluate", "--suite", "papers", "--task", "denoise-25", "--method", "adjoint", *options)
    (cell,) = json.loads(report.read_text(encoding="utf-8"))["cells"]
    assert (cell["task"], cell["data"], cell["method"], len(cell["rows"])) == ("denoise-25", "set12", "adjoint", 1)
    assert cell["mean"]["psnr"] == pytest.approx(20.2, abs=0.5)


def test_tasks_are_listed_with_a_line_each():
    lines = done("tasks").stdout.splitlines()[1:]
    for line, task in zip(lines, (TASKS | RANDOM_TASKS).values(), strict=True):
        assert line.split() == [task.name, *task.summary.split()]


def test_doctor_examines_every_operator():
    output = done("doctor").stdout
    verdicts = [line.rstrip("│ ").rpartition(" ")[2] for line in output.splitlines() if "(B, " in line]
    assert verdicts == ["ok"] * len(EXAMPLES)


@pytest.mark.parametrize("methods", [["TV"], ["TV", "RAM"]], ids=len)
def test_demo_draws_and_tells(tmp_path, photo, monkeypatch, methods):
    """Naive and total variation, and the network where its weights are installed."""
    monkeypatch.setattr("wellposed.verbs._networks.FOLDER", tmp_path)
    monkeypatch.setattr("wellposed.cli.demo._TASKS", ("denoise-medium", "sr4"))
    if "RAM" in methods:
        install_network(tmp_path)
    panel, table = tmp_path / "demo.png", tmp_path / "demo.md"
    output = done("demo", "-o", panel, "--photo", photo, "--markdown", table).stdout
    height, width = read_image(panel).shape[-2:]
    assert width / height == pytest.approx((3 + len(methods)) / 2, rel=0.2)
    lines = table.read_text(encoding="utf-8").splitlines()
    scores = "".join(f" {method} PSNR | {method} SSIM | {method} seconds |" for method in methods)
    assert lines[0] == f"| task | naive PSNR | naive SSIM |{scores}"
    assert [line.split()[1] for line in lines[2:]] == ["denoise-medium", "sr4"]
    for line in lines[2:]:
        numbers = line.split()[3:-1:2]
        assert len(numbers) == 2 + 3 * len(methods)
        assert all(number in output for number in numbers)
        assert float(numbers[2]) > float(numbers[0]) + 0.5


@pytest.mark.parametrize(
    "command",
    [
        ("simulate", "{photo}", "--task", "sr4", "-o", "{new}/z.safetensors"),
        ("reconstruct", "{new}/y.safetensors", "-o", "{new}/x.png", "--method", "pinv"),
        ("evaluate", "--task", "sr4", "--data", "{folder}", "--method", "pinv", "--json", "{new}/out.json"),
        ("demo", "--photo", "{photo}", "-o", "{new}/demo.png"),
        ("doctor", "healthy_operators:identity"),
    ],
    ids=lambda command: command[0],
)
def test_quiet_is_quiet_and_otherwise_there_are_results(photo, folder, tmp_path, command, monkeypatch):
    monkeypatch.setattr("wellposed.cli.demo._TASKS", ("denoise-easy",))
    monkeypatch.chdir(tmp_path)
    code = "from wellposed.operators import Identity\nidentity = Identity((1, 3, 4))\n"
    (tmp_path / "healthy_operators.py").write_text(code, encoding="utf-8")
    done("simulate", photo, "--task", "sr4", "-o", tmp_path / "y.safetensors")
    arguments = [part.format(photo=photo, folder=folder, new=tmp_path) for part in command]
    assert done(*arguments).stdout != ""
    assert done(*arguments, "--quiet").output == ""


def test_version():
    assert done("--version").stdout.strip() == wellposed.__version__


@pytest.mark.parametrize("command", ["", "simulate", "reconstruct", "evaluate", "tasks", "doctor", "demo"])
def test_help_explains(command):
    output = done(*([command] if command else []), "--help").output
    assert "Usage" in output
    assert "--help" in output
