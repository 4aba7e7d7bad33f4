"""The promises of the layout, checked on the source."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[1]
PACKAGE = sorted((ROOT / "clipbatch").rglob("*.py"))
VERBS = ("collect", "embed", "index", "measure", "report")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_ray_is_imported_in_one_folder_only():
    users = {p for p in PACKAGE if any(re.match(r"ray(\.|$)", name) for name in imports(p))}
    assert users
    assert {p.parent for p in users} == {ROOT / "clipbatch" / "runtime"}


def test_the_mathematics_knows_no_engine_and_no_table():
    folders = (ROOT / "clipbatch" / name for name in ("measure", "neighbours"))
    pure = [*(p for f in folders for p in f.glob("*.py")), ROOT / "clipbatch/embed/noise.py"]
    for path in pure:
        for name in imports(path):
            assert not re.match(r"(ray|lance|lancedb|pyarrow|duckdb)(\.|$)", name), path
            assert not re.match(r"clipbatch\.(runtime|index|storage|report)", name), path


@pytest.mark.parametrize("module", ["clipbatch.measure", "clipbatch.measure.serial"])
def test_analyses_load_without_an_engine(module):
    code = f"import sys, {module}; sys.exit(bool({{'ray', 'torch', 'lance'}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_every_verb_is_a_job_a_folder_a_config_table_a_target_and_a_test_folder():
    from clipbatch.cli import VERBS as COMMANDS
    from clipbatch.config import Config

    assert list(VERBS) == sorted(VERBS)
    assert [*VERBS, "audit"] == list(COMMANDS)
    makefile = (ROOT / "Makefile").read_text()
    for verb in VERBS:
        assert (ROOT / "jobs" / f"{verb}.py").is_file()
        assert (ROOT / "clipbatch" / verb / "__init__.py").is_file()
        assert (ROOT / "tests/unit" / verb).is_dir()
        assert verb in Config.__dataclass_fields__
        assert re.search(rf"^[a-z ]*\b{verb}\b[a-z ]*:", makefile, re.MULTILINE)


def test_jobs_are_thin():
    for job in (ROOT / "jobs").glob("*.py"):
        if job.stem in (*VERBS, "audit"):
            assert len(job.read_text().splitlines()) <= 30


def test_the_lock_holds_versions_and_hashes_and_no_addresses():
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    for requirement in re.split(r"\n(?=\S)", lock.strip()):
        assert "==" in requirement
        assert "--hash=sha256:" in requirement


def test_ci_calls_what_everybody_calls():
    assert (ROOT / ".ci/run").read_text().rstrip().endswith("exec make test")


def test_local_links_of_the_documents_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "cluster/README.md"]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
