"""`ray job submit` of an audit to two real nodes gives what the same audit gives here."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import lancedb
import pytest

from clipbatch.cli import main
from tests import groceries
from tests.ray import cluster

pytestmark = pytest.mark.ray

PICTURES = 40
CONFIG = """\
[collect]
source = "$SOURCE"
[embed]
encoder = "pixels"
levels = [1.0]
batch_size = 8
[index]
database = "$DATABASE"
[measure]
analyses = ["duplicates", "angles"]
[measure.angles]
min_class = 4
[report]
folder = "$REPORT"
"""
# No collection passes it, so the audit fails.
IMPOSSIBLE = """\
[report.checks.impossible]
value = "collection.bad_share"
op = ">"
threshold = 1.0
severity = "fail"
"""


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """The job's own files and nothing else; clipbatch itself comes from the environment."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "jobs").mkdir()
    shutil.copy(cluster.ROOT / "jobs" / "audit.py", folder / "jobs" / "audit.py")
    (folder / "audit.toml").write_text(CONFIG)
    (folder / "failing.toml").write_text(CONFIG + IMPOSSIBLE)
    (folder / "broken.toml").write_text("[collect]\nsauce = 'x'\n")
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return groceries.folder(tmp_path_factory.mktemp("pictures"), PICTURES)


@pytest.fixture(scope="module")
def nodes():
    """The environment of two real nodes, and proof that nothing of them is left."""
    with cluster.two_nodes() as environment:
        scratch = str(Path(environment["RAY_AUTH_TOKEN_PATH"]).parent)
        assert sum("raylet_socket_name" in c for c in cluster.processes(scratch).values()) == 2
        yield environment
    assert cluster.left_behind(scratch) == []


def places(folder, pictures):
    return {
        "SOURCE": str(pictures),
        "DATABASE": str(folder / "db"),
        "REPORT": str(folder / "report"),
    }


@pytest.fixture(scope="module")
def submit(nodes, job, pictures, tmp_path_factory):
    """Submit an audit with one of the job's configurations; always into the same tables."""
    folder = tmp_path_factory.mktemp("cluster")

    def submit(config):
        command = ["ray", "job", "submit", "--working-dir", str(job)]
        command += ["--runtime-env-json", json.dumps({"env_vars": places(folder, pictures)})]
        command += ["--", sys.executable, "jobs/audit.py", "--config", config]
        ended = subprocess.run(
            [str(Path(sys.executable).parent / command[0]), *command[1:]],
            env=nodes,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        return SimpleNamespace(
            code=ended.returncode, said=ended.stdout + ended.stderr, folder=folder
        )

    return submit


@pytest.fixture(scope="module")
def submitted(submit):
    done = submit("audit.toml")
    assert done.code == 0, done.said
    return done


@pytest.fixture(scope="module")
def local(local_ray, job, pictures, tmp_path_factory):
    """The same configuration, run in this process on a Ray of its own."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in places(folder, pictures).items():
            patch.setenv(name, value)
        assert main(["audit", "--config", str(job / "audit.toml")]) == 0
    return folder


def rows(folder, table):
    return lancedb.connect(folder / "db").open_table(table).to_arrow().to_pylist()


def vectors(folder):
    """Return (content_id, variant) -> vector; no key is there twice."""
    (run,) = rows(folder, "runs")[:1]
    (name,) = [name for name in json.loads(run["tables"]) if name.startswith("vectors__")]
    found = rows(folder, name)
    keyed = {(row["content_id"], row["variant"]): row["vector"] for row in found}
    assert len(keyed) == len(found)
    return keyed


def audit(folder):
    return json.loads((folder / "report" / "audit.json").read_text())


def test_the_verdict_the_run_and_every_vector_arrive(submitted):
    assert "on the cluster: 2 CPU" in submitted.said
    (run,) = rows(submitted.folder, "runs")
    report = audit(submitted.folder)
    assert run["verdict"] == report["verdict"] == "passed"
    assert report["exit_code"] == 0
    assert report["run"]["run_id"] == run["run_id"]
    assert len(vectors(submitted.folder)) == 2 * PICTURES


def test_the_cluster_finds_what_a_local_run_finds(submitted, local):
    def found(folder):
        return {
            (row["fingerprint"], row["analysis"], row["unit"]): row["result"]
            for row in rows(folder, "findings")
        }

    assert vectors(submitted.folder) == vectors(local)
    assert found(submitted.folder) == found(local)
    assert {key[1] for key in found(local)} == {"neighbours", "duplicates", "angles"}
    assert audit(local)["findings"]["angles"]["numbers"]["median_pair_angle"]["value"] > 0
    assert audit(submitted.folder)["findings"] == audit(local)["findings"]


def test_ray_s_agents_keep_the_mark_by_which_they_are_ended(submitted, nodes):
    scratch = str(Path(nodes["RAY_AUTH_TOKEN_PATH"]).parent)
    agents = [pid for pid, command in cluster.processes(scratch).items() if "Agent" in command]
    assert len(agents) >= 4  # of the dashboard and of environments, on either node
    for pid in agents:  # a title that is written over the environment leaves zeros
        assert b"\0\0" not in Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0")


def test_submit_knows_two_codes_and_the_verdict_has_the_rest(submitted, submit):
    failing = submit("failing.toml")
    assert failing.code == 1, failing.said
    report = audit(submitted.folder)
    assert (report["verdict"], report["exit_code"]) == ("failed", 1)
    # Nothing had changed since the first submission, so nothing was opened or embedded again.
    assert (report["run"]["counts"]["opened"], report["run"]["counts"]["decoded"]) == (0, 0)
    broken = submit("broken.toml")
    assert broken.code == 1
    assert "exit code 2" in broken.said
    assert "did you mean 'source'?" in broken.said


def test_without_the_token_nobody_submits(nodes):
    stranger = {k: v for k, v in nodes.items() if not k.startswith("RAY_AUTH")}
    ended = subprocess.run(
        [str(Path(sys.executable).parent / "ray"), "job", "list"],
        env=stranger | {"RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "Authentication required" in ended.stdout + ended.stderr


def test_a_command_gets_the_cluster_and_gives_its_code():
    script = cluster.start("sh", "-c", "echo $RAY_ADDRESS $RAY_AUTH_TOKEN_PATH; exit 7")
    said, _ = script.communicate(timeout=cluster.START_S)
    address, token = said.split()
    assert script.returncode == 7
    assert address.startswith("127.0.0.1:")
    assert cluster.left_behind(str(Path(token).parent)) == []


@pytest.mark.parametrize(("by", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_start_that_is_cut_short_leaves_nothing(by, code):
    script = cluster.start()
    scratch = cluster.scratch_of(script.pid)
    assert scratch, "no node of this script appeared"
    script.send_signal(by)
    assert script.wait(cluster.STOP_S) == code
    assert cluster.left_behind(scratch) == []


STANDING = """\
import os, ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

ray.init()
here = os.getcwd()
look = ray.remote(num_cpus=0)(lambda: os.getcwd())
for node in ray.nodes():
    ray.get(look.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote())
assert os.getcwd() == here
print("stands where it stood on", len(ray.nodes()), "nodes")
"""


def test_a_driver_keeps_its_folder_when_other_nodes_take_the_job_s_files(nodes, tmp_path):
    (tmp_path / "standing.py").write_text(STANDING)
    command = [str(Path(sys.executable).with_name("ray")), "job", "submit"]
    command += ["--working-dir", str(tmp_path), "--", sys.executable, "standing.py"]
    told = subprocess.run(command, env=dict(nodes), capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "stands where it stood on 2 nodes" in told.stdout
