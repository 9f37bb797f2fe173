"""Unknown names are refused with the nearest known one."""

import pytest

from wellposed.core.errors import KeywordError, MissingDependencyError, UnknownNameError
from wellposed.core.names import check_keywords, check_name, optional_import


def test_known_names_pass():
    assert check_name("task", "blur", ["mask", "blur"]) == "blur"
    check_keywords("Blur", ["kernel"], ["kernel", "mask"])
    check_keywords("Identity", [], [])


def test_unknown_names_are_refused_with_the_nearest_and_the_list():
    with pytest.raises(UnknownNameError, match=r"^unknown task 'blurr'; did you mean 'blur'\? Known: mask, blur\.$"):
        check_name("task", "blurr", ["mask", "blur"])
    with pytest.raises(UnknownNameError, match=r"^unknown task 'zzz'\. 'wellposed tasks' lists them\.$"):
        check_name("task", "zzz", ["mask", "blur"], hint="'wellposed tasks' lists them.")


def test_names_may_come_from_an_iterator():
    with pytest.raises(UnknownNameError, match=r"Known: mask, blur\."):
        check_name("task", "zzz", iter(["mask", "blur"]))


def test_unknown_keywords_are_refused_with_the_nearest_and_the_list():
    """S1."""
    with pytest.raises(
        KeywordError, match=r"^Blur has no parameter 'kernell'; did you mean 'kernel'\? It takes kernel\.$"
    ):
        check_keywords("Blur", ["kernel", "kernell"], ["kernel"])
    with pytest.raises(KeywordError, match=r"^Identity has no parameter 'mask'\. It takes none\.$"):
        check_keywords("Identity", ["mask"], [])


def test_optional_packages_are_imported_or_the_extra_is_named():
    assert optional_import("json", extra="cli").loads("[1]") == [1]
    with pytest.raises(
        MissingDependencyError, match=r"^absent_package is not installed: pip install 'wellposed\[mri\]'"
    ):
        optional_import("absent_package.module", extra="mri")
