"""Files are found or named in the error, and written whole or not at all."""

import pytest

from wellposed.core.errors import FormatError, WellposedError
from wellposed.core.files import MissingFileError, atomic_path, existing_file, existing_folder


def test_what_is_there_is_returned(tmp_path):
    file = tmp_path / "image.png"
    file.write_text("x")
    assert existing_file(str(file)) == file
    assert existing_folder(str(tmp_path)) == tmp_path


def test_what_is_not_there_is_named(tmp_path):
    for look, kind in ((existing_file, "file"), (existing_folder, "folder")):
        with pytest.raises(MissingFileError, match=f"no such {kind}: .*absent") as caught:
            look(tmp_path / "absent")
        assert isinstance(caught.value, FileNotFoundError)
        assert isinstance(caught.value, WellposedError)


def test_a_file_is_no_folder_and_a_folder_no_file(tmp_path):
    file = tmp_path / "image.png"
    file.write_text("x")
    with pytest.raises(FormatError, match=r"expected a file, and .* is a folder"):
        existing_file(tmp_path)
    with pytest.raises(FormatError, match=r"expected a folder, and .* is a file"):
        existing_folder(file)
    with pytest.raises(FormatError, match="expected a file to write"), atomic_path(tmp_path):
        pass


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "note.txt"
    target.write_text("old")
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
        assert temporary.suffix == ".txt"
        assert temporary.parent == tmp_path
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "note.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_folder_must_exist(tmp_path):
    with pytest.raises(MissingFileError), atomic_path(tmp_path / "absent" / "note.txt"):
        pass
