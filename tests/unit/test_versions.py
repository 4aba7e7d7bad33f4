import pytest

from clipbatch import versions
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

GOOD = versions.KNOWN_GOOD | {"pyarrow": "26.0.1", "clipbatch": "0.1.0", "python": "3.11.2"}


def test_what_is_installed_here_passes_in_silence(capsys):
    versions.refuse_known_bad()
    versions.refuse_known_bad(GOOD)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "got"),
    [
        ("ray", "2.64.0"), ("ray", "3.0.0"), ("ray", "2.9.3"), ("pylance", "13.0.0"),
        ("pylance", "14.0.1"), ("lancedb", "0.39.0"),
    ],
)  # fmt: skip
def test_what_is_known_to_break_is_refused_and_the_good_trio_is_named(name, got):
    with pytest.raises(ConfigError, match=f"got {name} {got}") as refused:
        versions.refuse_known_bad(GOOD | {name: got})
    for word in ("expected at least", "ray 2.60.0, pylance 14.0.2, lancedb 0.40.0"):
        assert word in str(refused.value)


@pytest.mark.parametrize(("name", "got"), [("pylance", "15.0.0"), ("lancedb", "1.0.0")])
def test_what_nobody_has_tried_is_told_and_goes_on(name, got, capsys):
    versions.refuse_known_bad(GOOD | {name: got})
    assert f"{name} {got} was not tested" in capsys.readouterr().err


def test_a_library_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(versions, "KNOWN_GOOD", versions.KNOWN_GOOD | {"no-such-library": "1"})
    with pytest.raises(ConfigError, match="got no no-such-library"):
        versions.found()


@pytest.mark.parametrize(
    ("name", "there"),
    [("clipbatch", "0.0.9"), ("ray", "2.61.0"), ("pylance", "14.0.3"), ("python", "3.12.1")],
)
def test_a_node_of_another_version_is_refused_by_name(name, there):
    with pytest.raises(ConfigError, match=rf"node 10\.0\.0\.2: got {name} {there}, expected"):
        versions.refuse_other("10.0.0.2", GOOD | {name: there}, GOOD)


def test_a_patch_release_of_python_does_no_harm():
    versions.refuse_other("10.0.0.2", GOOD | {"python": "3.11.9"}, GOOD)
