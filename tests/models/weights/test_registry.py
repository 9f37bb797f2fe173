"""Entries are complete, and their cards in the repository are what the registry says."""

import json
import re
from pathlib import Path

import pytest

from wellposed.core.errors import FormatError
from wellposed.models.weights import WEIGHTS, Weights
from wellposed.models.weights.cards import card, write_cards
from wellposed.models.weights.registry import BUNDLED, bundled_entries

ROOT = Path(__file__).resolve().parents[3]
every_entry = pytest.mark.parametrize("entry", WEIGHTS.values(), ids=WEIGHTS)
DESCRIPTION = {
    "model": "DRUNet",
    "arguments": {"channels": 1, "widths": [4, 6]},
    "licence": "BSD-3-Clause",
    "data": "photographs",
    "recipe": "supervised",
    "use": "denoising",
    "limits": "all else",
    "sha256": "0" * 64,
    "size": 3,
}


def written(folder, text):
    (folder / "mine-small.json").write_text(text, encoding="utf-8")
    return list(bundled_entries(folder))


@every_entry
def test_entries_are_complete(entry):
    """A name that is no path, a web address with the name of the file or a file that is here, 64 digits of checksum."""
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.name)
    for text in (entry.licence, entry.data, entry.recipe, entry.use, entry.limits):
        assert text.endswith(".") or " " not in text
        assert text == " ".join(text.split())
    assert all(url.startswith("https://") and url.endswith(f"/{entry.file}") for url in entry.urls)
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert not entry.is_bundled or (BUNDLED / entry.file).stat().st_size == entry.size


def test_files_are_not_shared():
    """They lie in one folder."""
    files = [entry.file for entry in WEIGHTS.values()]
    assert len(files) == len(set(files))


@every_entry
def test_cards_are_what_the_registry_says(entry):
    """After a change of the registry, `make cards` writes them again."""
    text = (ROOT / entry.card).read_text(encoding="utf-8")
    assert text == card(entry)
    for part in (entry.licence, entry.data, entry.recipe, entry.use, entry.limits):
        assert part in text
    for title in ("Intended use", "Limits", "Training data", "Training recipe", "Measured results"):
        assert f"\n## {title}\n\n" in text


def test_no_card_is_of_something_else():
    assert {path.stem for path in (ROOT / "weights").glob("*.md")} == {"TRAINING", *WEIGHTS}


def test_a_card_shows_results(tmp_path, register):
    entry = register(results={"denoise-medium, PSNR in dB": 31.25}, size=1234567, sha256="a" * 64)
    text = card(entry)
    assert "| denoise-medium, PSNR in dB | 31.25 |" in text
    assert "| size | 1,234,567 bytes |" in text
    assert f"| sha256 | `{'a' * 64}` |" in text
    assert "| file | `mine.pth`, with the package |" in text
    assert "Nothing was measured" not in text
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "gone.md").write_text("# gone\n\n| | |\n| --- | --- |\nof an entry that is no more")
    (tmp_path / "weights" / "NOTES.md").write_text("no card")
    write_cards(tmp_path / "weights")
    assert {path.name for path in (tmp_path / "weights").iterdir()} == {"NOTES.md", *(f"{name}.md" for name in WEIGHTS)}
    assert (tmp_path / "weights" / "mine.md").read_text(encoding="utf-8") == text


def test_an_entry_is_a_json_file(tmp_path):
    """Named by its file; lists become the tuples that constructors take."""
    (entry,) = written(tmp_path, json.dumps(DESCRIPTION | {"results": {"psnr": 30.5}}))
    assert entry == Weights(
        name="mine-small",
        file="mine-small.safetensors",
        **DESCRIPTION | {"arguments": {"channels": 1, "widths": (4, 6)}, "results": {"psnr": 30.5}},
    )
    assert entry.is_bundled
    assert entry.built_as() == "DRUNet(channels=1, widths=(4, 6))"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"licence": ""}, "does not say its licence"),
        ({"data": None, "recipe": 3}, "does not say its data and recipe"),
        ({"arguments": []}, "its arguments and its results must be objects"),
        ({"results": [1]}, "its arguments and its results must be objects"),
        ({"sha256": "0" * 63}, "does not say the size and the sha256"),
        ({"size": None}, "does not say the size and the sha256"),
        ({"licens": "MIT"}, "describes no weights: expected an object with the keys arguments, data, licence"),
    ],
)
def test_incomplete_descriptions_are_refused(tmp_path, change, words):
    with pytest.raises(FormatError, match=rf"mine-small\.json .*{words}"):
        written(tmp_path, json.dumps(DESCRIPTION | change))


@pytest.mark.parametrize(("text", "words"), [("{", "is not JSON"), ("[]", "describes no weights")])
def test_what_is_no_description_is_refused(tmp_path, text, words):
    with pytest.raises(FormatError, match=words):
        written(tmp_path, text)
