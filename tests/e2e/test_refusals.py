"""What cannot run says so in one line, exits with 2, and leaves nothing half-made."""

import os
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.quick


def run(tmp_path, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "clipbatch.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error::ResourceWarning"},
    )


def audit(tmp_path, source, *settings):
    options = [part for text in settings for part in ("--set", text)]
    if not any("encoder" in text for text in settings):
        options += ["--set", "embed.encoder=pixels"]
    return run(tmp_path, "audit", str(source), "--db", "db", "--out", "report", *options)


def refused(tmp_path, done, *words):
    told = [line for line in done.stderr.splitlines() if line.startswith("clipbatch:")]
    assert done.returncode == 2, done.stderr
    assert len(told) == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in told[0]
    assert not (tmp_path / "db").exists()
    assert not (tmp_path / "report").exists()


@pytest.fixture
def pictures(tmp_path):
    from PIL import Image

    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "pictures" / "a.png")
    return tmp_path / "pictures"


def test_a_folder_that_does_not_exist(tmp_path):
    refused(tmp_path, audit(tmp_path, tmp_path / "nowhere"), "nowhere")


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    refused(tmp_path, audit(tmp_path, tmp_path / "empty"), "no pictures")


def test_a_folder_of_text_files(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    (tmp_path / "texts" / "b.md").write_text("b")
    refused(tmp_path, audit(tmp_path, tmp_path / "texts"), "no pictures", "2 other files")


def test_a_misspelt_key(tmp_path, pictures):
    refused(tmp_path, audit(tmp_path, pictures, "embed.levls=[1.0]"), "did you mean 'levels'")


def test_a_negative_noise_level(tmp_path, pictures):
    refused(tmp_path, audit(tmp_path, pictures, "embed.levels=[-1.0]"), "-1.0", "above 0")


def test_no_source_at_all(tmp_path):
    refused(tmp_path, run(tmp_path, "audit", "--db", "db"), "no source")


def test_a_model_that_does_not_exist(tmp_path, pictures):
    done = audit(tmp_path, pictures, "embed.encoder=ViT-B-23")
    refused(tmp_path, done, "ViT-B-23", "ViT-B-32")


def test_weights_that_are_not_to_be_had_name_three_ways_out(tmp_path, pictures):
    done = audit(tmp_path, pictures, "embed.encoder=ViT-B-32", "embed.weights=laion2b_s34b_b79k")
    refused(tmp_path, done, "offline-lite", "embed.weights=", "HF_HUB_OFFLINE")


def test_a_check_that_names_no_analysis(tmp_path, pictures):
    check = "report.checks.x={value='duplicats.near_pairs', op='==', threshold=0}"
    refused(tmp_path, audit(tmp_path, pictures, check), "duplicats")


def test_a_database_that_cannot_be_written(tmp_path, pictures):
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "audit", str(pictures), "--db", "file/db", "--set", "embed.encoder=pixels")
    refused(tmp_path, done)


def test_a_report_without_a_run(tmp_path):
    refused(tmp_path, run(tmp_path, "report", "--db", "db"), "clipbatch audit")


def test_help_answers_at_once_and_loads_nothing_heavy():
    script = (
        "import sys, clipbatch.cli as c\n"
        "try: c.main(['audit', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'numpy', 'pyarrow', 'lance'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)
    took = []
    for _ in range(3):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "clipbatch.cli", "--help"], check=True, capture_output=True
        )
        took.append(time.monotonic() - started)
    assert min(took) < 0.5
