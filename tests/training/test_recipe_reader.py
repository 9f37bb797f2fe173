"""YAML is read strictly: numbers are numbers, keys come once, and every sentence names its place."""

import pytest

from wellposed.core.errors import ArgumentError, FormatError, MissingDependencyError
from wellposed.core.files import MissingFileError
from wellposed.training.recipe_reader import Entry, override, parse_yaml, read_yaml, write_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("-3", -3),
        ("012", 12),
        ("true", True),
        ("yes", "yes"),
        ("off", "off"),
        ("~", None),
        ("'1'", "1"),
        ("2020-01-01", "2020-01-01"),
        ("1_000", "1_000"),
        ("[1, 2., a]", [1, 2.0, "a"]),
    ],
)
def test_plain_values_are_what_they_look_like(text, value):
    read = parse_yaml(f"key: {text}", "file")["key"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3", "file is not YAML, line 3: the key 'a' is there twice."),
        ("{[1]: 2}", "file is not YAML, line 1: the key [1] is not a text."),
        ("a: [1", "file is not YAML, line 1: expected ',' or ']', but got '<stream end>'."),
        ("!!python/object:os.system x", "file is not YAML, line 1: could not determine a constructor"),
        ("a: *b", "file is not YAML, line 1: found undefined alias 'b'."),
        ("[" * 5000, "file is not a recipe: it is nested too deeply."),
    ],
)
def test_what_is_no_plain_yaml_is_refused(text, sentence):
    with pytest.raises(FormatError) as caught:
        parse_yaml(text, "file")
    assert str(caught.value).startswith(sentence)


def test_what_is_written_is_read_as_it_was():
    value = {
        "numbers": [1, 2.0, 1e-4, 1e20, -0.5],
        "texts": ["1e-4", "1e5", "1", "yes", "true", "", "~", "null", "no: x", "2020-01-01", "[a]", "Straße", " x"],
        "section": {"nothing": None, "truth": True},
    }
    text = write_yaml(value)
    assert parse_yaml(text, "file") == value
    assert list(parse_yaml(text, "file")) == list(value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(FormatError, match=r"latin\.yaml is not text in UTF-8"):
        read_yaml(tmp_path / "latin.yaml")
    with pytest.raises(MissingFileError, match=r"no such file: .*none\.yaml"):
        read_yaml(tmp_path / "none.yaml")


def test_without_pyyaml_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(MissingDependencyError, match=r"wellposed\[train\]"):
        parse_yaml("a: 1", "file")


def test_a_value_is_replaced_in_a_copy():
    tree = {"problems": [{"batch": 16}, {"batch": 8}], "training": {}}
    assert override(tree, "problems[1].batch=4")["problems"] == [{"batch": 16}, {"batch": 4}]
    assert override(tree, "training.learning_rate=1e-3")["training"] == {"learning_rate": 1e-3}
    assert override(tree, "problems=[x, ~]")["problems"] == ["x", None]
    assert override(tree, "training.text=a=b")["training"] == {"text": "a=b"}
    assert tree == {"problems": [{"batch": 16}, {"batch": 8}], "training": {}}


@pytest.mark.parametrize(
    "assignment",
    [
        "batch",
        "=1",
        "problems.c=1",
        "problems[1]=2",
        "problems.0=3",
        "x[0]=1",
        "a[0]=1",
        "problems[[=1",
        ".a=1",
        "a..b=1",
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(assignment):
    with pytest.raises(ArgumentError, match=r"cannot be set|expected an assignment"):
        override({"problems": [1], "a": {}}, assignment)


@pytest.mark.parametrize(
    ("value", "ask", "sentence"),
    [
        (0, lambda e: e.whole(least=1), "expected a whole number of at least 1, got 0."),
        (True, lambda e: e.whole(least=0), "expected a whole number of at least 0, got true."),
        (1.0, lambda e: e.whole(least=0), "expected a whole number of at least 0, got 1.0."),
        (float("nan"), lambda e: e.number(), "expected a number, got nan."),
        ("1", lambda e: e.number(least=0, most=1), "expected a number from 0 to 1, got '1'."),
        (2, lambda e: e.number(least=0, most=1), "expected a number from 0 to 1, got 2."),
        (0, lambda e: e.positive(), "expected a number above zero, got 0."),
        (1, lambda e: e.flag(), "expected true or false, got 1."),
        (None, lambda e: e.text(), "expected a text, got nothing."),
        ("", lambda e: e.text(), "expected a text, got ''."),
        ({}, lambda e: e.entries(), "expected a list with at least one entry, got a section."),
        ([], lambda e: e.children(), "expected names with a section each, got a list of 0."),
        ([1], lambda e: e.section("a", "b"), "expected a section with a and b, got a list of 1."),
        ({}, lambda e: e.child("a"), "the key 'a' is missing."),
        ({"colur": 1}, lambda e: e.section("colour"), "unknown key 'colur'; did you mean 'colour'? Known: colour."),
        ("re", lambda e: e.choice("colour", ["red", "blue"]), "unknown colour 're'; did you mean 'red'?"),
        (3, lambda e: e.choice("colour", ["red", "blue"]), "expected red or blue, got 3."),
    ],
)
def test_every_sentence_names_its_place(value, ask, sentence):
    with pytest.raises(FormatError) as caught:
        ask(Entry(value, "recipe.yaml", "problems[2].task"))
    assert str(caught.value).startswith(f"recipe.yaml: problems[2].task: {sentence}")


def test_children_know_their_places():
    entry = Entry({"problems": [{"task": "x"}]}, "recipe.yaml")
    assert entry.place == "recipe.yaml"
    assert entry.child("problems").entries()[0].child("task").place == "recipe.yaml: problems[0].task"
    assert entry.child("steps", 7).whole(least=1) == 7
    assert not Entry({"a": None}, "f").has("a")
