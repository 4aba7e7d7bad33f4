import pytest

from clipbatch.collect.paths import PathRules, is_picture
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick


def told(path, label="auto", split="auto"):
    rules, directories = PathRules(label, split), path.split("/")[:-1]
    return rules.label(directories), rules.split(directories, path)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPG", "b/c.d.JpEg", "a.tiff", "a.heic", "a.avif"])
def test_endings_count_in_any_case(name):
    assert is_picture(name)


@pytest.mark.parametrize("name", ["jpg", ".jpg", "a.txt", "a.jpg.json", "a.", "a", "jpg/readme"])
def test_other_names_do_not(name):
    assert not is_picture(name)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.jpg", (None, None)),
        ("cat/a.jpg", ("cat", None)),
        ("train/cat/a.jpg", ("cat", "train")),
        ("Val/x/cat/a.jpg", ("cat", "Val")),
        ("train/a.jpg", (None, "train")),  # the split's directory is no class
        ("animals/train/a.jpg", ("train", None)),  # only a top directory is a split
    ],
)
def test_auto(path, expected):
    assert told(path) == expected


def test_levels_count_from_the_root_and_may_be_missing():
    assert told("a/b/c.jpg", "level:0", "level:1") == ("a", "b")
    assert told("a/c.jpg", "level:1", "level:2") == (None, None)


def test_none_and_parent_are_taken_at_their_word():
    assert told("train/a.jpg", "parent", "none") == ("train", None)
    assert told("train/a.jpg", "none", "auto") == (None, "train")


def test_a_pattern_takes_its_first_group_from_the_whole_path():
    assert told("x/img_test_3.jpg", split="regex:_(train|test)_")[1] == "test"
    assert told("x/img_3.jpg", split="regex:_(train|test)_")[1] is None


@pytest.mark.parametrize(
    ("label", "split", "named"),
    [
        ("levle:1", "auto", "collect.label"),
        ("level:-1", "auto", "collect.label"),
        ("auto", "top", "collect.split"),
        ("auto", "regex:(", "no regular expression"),
        ("auto", "regex:train", "no group"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(label, split, named):
    with pytest.raises(ConfigError, match=named):
        PathRules(label, split)
