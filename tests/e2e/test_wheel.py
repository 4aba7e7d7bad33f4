"""A wheel built from the repository installs and runs by itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import groceries

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]


def run(*command, cwd, env=None):
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done


def test_a_wheel_audits_a_folder_without_the_repository(tmp_path):
    uv = [sys.executable, "-m", "uv"]
    run(*uv, "build", "--wheel", "--no-build-isolation", "-o", str(tmp_path), ".", cwd=ROOT)
    (wheel,) = tmp_path.glob("clipbatch-*.whl")
    site = tmp_path / "site"
    run(*uv, "pip", "install", "--no-deps", "--target", str(site), str(wheel), cwd=tmp_path)
    groceries.folder(tmp_path / "pictures", 12)
    env = os.environ | {"PYTHONPATH": str(site)}
    where = "import clipbatch; print(clipbatch.__file__)"
    assert str(site) in run(sys.executable, "-c", where, cwd=tmp_path, env=env).stdout
    command = [sys.executable, "-m", "clipbatch.cli", "audit", "pictures"]
    run(*command, "--set", "embed.encoder=pixels", cwd=tmp_path, env=env)
    assert (tmp_path / "clipbatch-report" / "report.html").stat().st_size > 10_000
