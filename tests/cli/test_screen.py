"""Progress is drawn where people watch, and nowhere else."""

import io
import sys

import pytest

from wellposed.cli._screen import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def drawn(monkeypatch, stream, *, quiet=False):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("working", quiet=quiet) as update:
        update(3, 7)
    return stream.getvalue()


def test_progress_on_a_terminal(monkeypatch):
    text = drawn(monkeypatch, Terminal())
    assert "working" in text
    assert "3/7" in text


def test_how_much_there_is_to_do_is_known_from_the_start(monkeypatch):
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("working", 7):
        pass
    assert "0/7" in stream.getvalue()


@pytest.mark.parametrize(("stream", "quiet"), [(Terminal(), True), (io.StringIO(), False)], ids=["quiet", "file"])
def test_no_progress_elsewhere(monkeypatch, stream, quiet):
    assert drawn(monkeypatch, stream, quiet=quiet) == ""


def test_nothing_on_stdout(monkeypatch, capsys):
    drawn(monkeypatch, Terminal())
    assert capsys.readouterr().out == ""
