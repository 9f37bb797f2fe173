"""`wellposed weights` on a web server of this machine: list, fetch, convert, verify; one sentence for each error."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.models.weights.site import serving
from wellposed.cli.application import application
from wellposed.models import DnCNN
from wellposed.models.weights import WEIGHTS, Weights, download, load

SMALL = {"channels": 1, "width": 4, "depth": 3}
TEXTS = dict.fromkeys(("licence", "data", "recipe", "use", "limits"), "some")


def run(*arguments, code=0):
    result = CliRunner().invoke(application, ["weights", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def refused(*arguments):
    """Return the one sentence that a command ends with."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("wellposed: ")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A server with the weights of the entry `mine`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WELLPOSED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "_PAUSE", 0)
    torch.save(DnCNN(**SMALL).state_dict(), tmp_path / "own.pth")
    with serving((tmp_path / "own.pth").read_bytes()) as site:
        entry = Weights("mine", "DnCNN", SMALL, "mine.pth", **TEXTS, urls=(f"{site.url}/file",), size=2_500_000)
        monkeypatch.setitem(WEIGHTS, "mine", entry)
        yield site


def row(name):
    (line,) = [line for line in run("list").stdout.splitlines() if line.startswith(f"{name} ")]
    return " ".join(line.split())


def test_list_says_where_the_files_are(site):
    mine = "mine DnCNN 2.5"
    assert row("mine") == f"{mine} to be fetched some"
    run("fetch", "mine")
    assert row("mine") == f"{mine} in the cache some"
    assert run("list", "--quiet").stdout == ""


def test_list_as_json(site):
    run("list", "--json", "list.json", "-q")
    listed = {entry["name"]: entry for entry in json.loads(Path("list.json").read_text(encoding="utf-8"))}
    assert listed.keys() == WEIGHTS.keys()
    assert (listed["mine"]["where"], listed["mine"]["size"]) == ("to be fetched", 2_500_000)
    assert "end its name in .json" in refused("list", "--json", "list.txt")


def test_fetch_prints_the_path(site, tmp_path):
    path = tmp_path / "cache" / "weights" / "mine.pth"
    assert run("fetch", "mine").stdout == f"{path}\n"
    assert path.read_bytes() == site.content
    assert run("fetch", "mine", "--quiet").stdout == ""


def test_fetch_that_fails(site):
    assert "unknown weights 'min'; did you mean 'mine'?" in refused("fetch", "mine", "min")
    assert site.requests == []
    site.answers = [404]
    assert refused("fetch", "mine").startswith("cannot fetch mine (")


def test_convert(site):
    assert run("convert", "own.pth", "own.safetensors", "--model", "DnCNN").stdout == "own.safetensors\n"
    assert run("convert", "mine", "mine.safetensors", "-q").stdout == ""
    weights = torch.load("own.pth", weights_only=True)
    for path in ("own.safetensors", "mine.safetensors"):
        assert all(torch.equal(weights[name], tensor) for name, tensor in load(path).state_dict().items())


def test_convert_that_fails(site):
    assert "holds tensors alone: say of which model" in refused("convert", "own.pth", "own.safetensors")
    assert "does not fit UNet" in refused("convert", "own.pth", "own.safetensors", "--model", "UNet")
    assert "end its name in .safetensors" in refused("convert", "own.pth", "own.pt", "--model", "DnCNN")
    assert "no such folder" in refused("convert", "own.pth", "none/own.safetensors", "--model", "DnCNN")
    assert "no such file" in refused("convert", "none.pth", "own.safetensors")
    assert not Path("own.safetensors").exists()


def test_verify(site):
    """By default what is here; the checksum is the registry's or the first one seen."""
    assert "mine " not in run("verify").stdout
    run("fetch", "mine")
    for arguments in ([], ["mine"]):
        (line,) = [line for line in run("verify", *arguments).stdout.splitlines() if line.startswith("mine ")]
        assert line.split()[1] == "DnCNN"
        assert line.split()[3:] == ["as", "first", "seen", "ok"]
    own = run("verify", "own.pth", "--model", "DnCNN")
    assert own.stdout.splitlines()[1].split()[3:] == ["ok"]
    assert run("verify", "own.pth", "--model", "DnCNN", "--quiet").stdout == ""


def test_verify_that_finds_something(site, tmp_path):
    """Exit code 1, and a sentence for each."""
    run("fetch", "mine", "-q")
    (tmp_path / "cache" / "weights" / "mine.pth").write_bytes(b"altered")
    (tmp_path / "cut.pth").write_bytes(site.content[:-100])
    result = run("verify", "mine", "cut.pth", "none.pth", "--model", "DnCNN", code=1)
    text = " ".join(result.stdout.split())
    assert text.count(" off ") == 3
    for words in ("mine.pth was altered or is damaged", "cut.pth is no checkpoint", "no such file: none.pth"):
        assert words in text


def test_the_guide_knows_every_command_and_option():
    pages = [Path(__file__).parents[2] / "docs" / "guide" / name for name in ("command-line.md", "weights.md")]
    command_line, guide = (page.read_text(encoding="utf-8") for page in pages)
    for command in ("list", "fetch", "convert", "verify"):
        assert f"wellposed weights {command}" in command_line + guide
    assert "`--model" in guide
    assert "--json FILE`" in guide


def test_verify_where_nothing_is(site, monkeypatch):
    for name in [name for name, entry in WEIGHTS.items() if entry.is_bundled]:
        monkeypatch.delitem(WEIGHTS, name)
    assert run("verify").stdout == "No weights are here yet: 'wellposed weights fetch NAME' fetches some.\n"
