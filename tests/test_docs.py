"""Every Python block of the documentation runs (row 39 of the peer's list), and every link in it leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
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
