"""Every Python block and command of the documentation runs (row 39 of the peer's list); every link leads somewhere."""

import importlib
import inspect
import re
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

import wellposed as wp
from wellposed.cli.application import application

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```bash\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[\w-]*)?\)")


def page_id(page):
    return str(page.relative_to(ROOT))


def has_python(page):
    return "```python" in page.read_text(encoding="utf-8")


def blocks(page):
    """Return the page's Python blocks as code objects whose line numbers are those of the page."""
    text = page.read_text(encoding="utf-8")
    return [
        compile("\n" * (text.count("\n", 0, match.start()) + 1) + match.group(1), str(page), "exec")
        for match in BLOCK.finditer(text)
    ]


@pytest.mark.parametrize("page", list(filter(has_python, PAGES)), ids=page_id)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    """The blocks of a page run in order, in one namespace, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for block in blocks(page):
        exec(block, namespace)


def commands(page):
    """Return the `wellposed ...` lines of the page's shell blocks."""
    lines = "".join(SHELL.findall(page.read_text(encoding="utf-8"))).splitlines()
    return [line for line in lines if line.startswith("wellposed ")]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=page_id)
def test_commands_run_as_printed(page, tmp_path, monkeypatch):
    """The commands of a page run in order, in a folder with the files that they name."""
    monkeypatch.chdir(tmp_path)
    photo = torch.rand(1, 3, 34, 34, generator=torch.Generator().manual_seed(0))
    (tmp_path / "FOLDER").mkdir()
    wp.data.write_image("photo.png", photo)
    for name in ("one", "two"):
        wp.data.write_image(f"FOLDER/{name}.png", photo)
    shutil.copy(ROOT / "recipes" / "smoke.yaml", "recipe.yaml")
    (tmp_path / "mymodule.py").write_text(
        "from wellposed.operators import Identity\nmy_operator = Identity((1, 4, 4))\n", encoding="utf-8"
    )
    for command in commands(page):
        result = CliRunner().invoke(application, shlex.split(command)[1:])
        assert result.exit_code == 0, (command, result.output)


def test_the_command_line_page_knows_every_command_and_option():
    """An option that is added or renamed without a word in the guide is found here."""
    page = (ROOT / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")
    for name, command in get_command(application).commands.items():
        assert f"wellposed {name}" in page
        for option in (parameter for parameter in command.params if parameter.param_type_name == "option"):
            assert any(spelling in page for spelling in option.opts), (name, option.opts)


def test_reference_has_every_public_name():
    """Classes and functions come with their room; Sphinx finds a constant or an alias only where it is defined."""
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    rooms = [name for name in wp.__all__ if inspect.ismodule(getattr(wp, name)) and name not in ("core", "verbs")]
    verbs = [f"verbs.{name}" for name in ("reconstruct", "finetune", "evaluate", "doctor")]
    for room in ["core.errors", *verbs, *rooms]:
        assert f".. automodule:: wellposed.{room}\n" in pages
        module = importlib.import_module(f"wellposed.{room}")
        values = {name: getattr(module, name) for name in module.__all__}
        imported = [name for name in values if f"\n{name}" not in inspect.getsource(module)]
        constants = [
            name for name in imported if not (inspect.isclass(values[name]) or inspect.isroutine(values[name]))
        ]
        assert [name for name in constants if f".{name}\n" not in pages] == []


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_no_python_block_escapes(page):
    """A block fenced or tagged otherwise would not be found, and so would not be run."""
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^\s*[`~]{3,}\s*\{?\.?(?:python|py|pycon)\b", text, flags=re.MULTILINE)) == len(blocks(page))
    assert "# not run" not in text


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_between_files_lead_somewhere(page):
    targets = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in targets if not (page.parent / link).exists()] == []
