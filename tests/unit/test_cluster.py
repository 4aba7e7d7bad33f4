"""Every file in cluster/ is what its reader will take it for; no cluster is needed to know that."""

import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

from clipbatch import __version__, config

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
SCHEDULES = CLUSTER / "schedules"
SCHEMAS = ROOT.parent / "shared" / "reference" / "kuberay"
IMAGE = f"clipbatch:{__version__}"
FILES = sorted(
    p for p in CLUSTER.rglob("*") if p.is_file() and p.suffix != ".pyc" and p.name != "README.md"
)


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def document(path):
    (found,) = documents(path)
    return found


def walk(tree):
    """Yield every mapping inside a document."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for inner in tree:
            yield from walk(inner)


def raycronjob():
    """The RayCronJob as its kustomization makes it: the RayJob's spec is its template."""
    made = document(SCHEDULES / "raycronjob" / "raycronjob.yaml")
    made["spec"]["jobTemplate"] = document(KUBERAY / "rayjob.yaml")["spec"]
    return made


MANIFESTS = {
    "rayclusters": lambda: document(KUBERAY / "raycluster.yaml"),
    "rayjobs": lambda: document(KUBERAY / "rayjob.yaml"),
    "raycronjobs": raycronjob,
}


# --- KubeRay ------------------------------------------------------------------------------------


def strict(schema):
    """Turn an OpenAPI schema of a custom resource into one that refuses a misspelt field."""
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in ("properties", "patternProperties"):
            made[key] = {name: strict(inner) for name, inner in value.items()}
        elif key in ("items", "additionalProperties"):
            made[key] = strict(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            made[key] = [strict(inner) for inner in value]
        elif not key.startswith("x-"):
            made[key] = value
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields")
    if made.get("properties") and not open_ended:
        made.setdefault("additionalProperties", False)
    if schema.get("nullable") and "type" in made:
        made["type"] = [made["type"], "null"]
    return made


@pytest.fixture(scope="module")
def schemas():
    if not SCHEMAS.is_dir():
        pytest.skip("no KubeRay schemas in ../shared/reference/kuberay")
    found = {}
    for name in MANIFESTS:
        raw = json.loads((SCHEMAS / f"{name}.json").read_text())
        schema = raw["versions"]["v1"]
        schema["properties"]["metadata"] = {"type": "object"}
        found[name] = strict(schema)
    return found


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_follows_its_schema(schemas, name):
    manifest = MANIFESTS[name]()
    jsonschema.validate(manifest, schemas[name])
    misspelt = copy.deepcopy(manifest)
    cluster = next(tree for tree in walk(misspelt) if "workerGroupSpecs" in tree)
    cluster["workerGroupSpecs"][0]["replicaz"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replicaz"):
        jsonschema.validate(misspelt, schemas[name])


def test_the_pods_of_the_cronjob_follow_their_schema(schemas):
    cronjob = documents(SCHEDULES / "cronjob.yaml")[0]
    pod = schemas["rayjobs"]["properties"]["spec"]["properties"]["submitterPodTemplate"]
    jsonschema.validate(cronjob["spec"]["jobTemplate"]["spec"]["template"], pod)


def test_the_two_clusters_are_one():
    job = document(KUBERAY / "rayjob.yaml")
    assert job["spec"]["rayClusterSpec"] == document(KUBERAY / "raycluster.yaml")["spec"]


def test_the_head_has_no_work_and_encoding_has_the_gpu():
    spec = document(KUBERAY / "raycluster.yaml")["spec"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = {g["groupName"]: g for g in spec["workerGroupSpecs"]}
    for name, gpus in (("cpu", "0"), ("gpu", "1")):
        (container,) = groups[name]["template"]["spec"]["containers"]
        assert container["resources"]["limits"].get("nvidia.com/gpu", "0") == gpus
        assert groups[name]["rayStartParams"]["num-gpus"] == gpus
        sizes = {groups[name][key] for key in ("replicas", "minReplicas", "maxReplicas")}
        assert len(sizes) == 1  # no autoscaler is asked for


def test_every_start_parameter_is_one_of_this_ray():
    from ray.scripts.scripts import start

    known = {option.name.replace("_", "-") for option in start.params}
    spec = document(KUBERAY / "raycluster.yaml")["spec"]
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        assert set(group["rayStartParams"]) <= known
        spill = group["rayStartParams"]["object-spilling-directory"]
        pod = group["template"]["spec"]
        mounts = {m["mountPath"]: m["name"] for m in pod["containers"][0]["volumeMounts"]}
        assert mounts[spill] in {volume["name"] for volume in pod["volumes"]}


def test_every_container_is_unprivileged_and_every_volume_is_there():
    manifests = [make() for make in MANIFESTS.values()] + documents(SCHEDULES / "cronjob.yaml")
    pods = [t for manifest in manifests for t in walk(manifest) if "containers" in t]
    assert len(pods) == 3 + 4 + 4 + 1
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        for container in pod["containers"]:
            assert container["image"] == IMAGE
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert {"requests", "limits"} <= set(container["resources"])
            assert {m["name"] for m in container.get("volumeMounts", [])} <= volumes


def test_ray_asks_for_a_token_and_reports_no_usage():
    spec = document(KUBERAY / "raycluster.yaml")["spec"]
    assert spec["authOptions"] == {"mode": "token", "secretName": "clipbatch-ray-token"}
    for group in [spec["headGroupSpec"], *spec["workerGroupSpecs"]]:
        (container,) = group["template"]["spec"]["containers"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


# --- schedules ----------------------------------------------------------------------------------


def test_the_overlay_names_what_it_takes():
    folder = SCHEDULES / "raycronjob"
    overlay = document(folder / "kustomization.yaml")
    for resource in overlay["resources"]:
        assert (folder / resource).exists(), resource
    base = document(folder / overlay["resources"][0] / "kustomization.yaml")
    assert base["resources"] == ["rayjob.yaml"]
    assert base["images"] == [{"name": "clipbatch", "newTag": __version__}]
    (replacement,) = overlay["replacements"]
    job, cron = document(KUBERAY / "rayjob.yaml"), document(folder / "raycronjob.yaml")
    for names, manifest in (
        (replacement["source"], job),
        (replacement["targets"][0]["select"], cron),
        (overlay["patches"][0]["target"], job),
    ):
        assert (names["kind"], names["name"]) == (manifest["kind"], manifest["metadata"]["name"])


def test_kustomize_makes_the_raycronjob():
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl")
    built = subprocess.run(
        ["kubectl", "kustomize", str(SCHEDULES / "raycronjob")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert yaml.safe_load(built.stdout) == raycronjob()


def test_the_cronjob_forbids_overlap_and_may_do_what_it_does():
    cronjob, account, role, binding = documents(SCHEDULES / "cronjob.yaml")
    assert cronjob["spec"]["concurrencyPolicy"] == "Forbid"
    assert cronjob["spec"]["timeZone"]
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    # night.py posts and gets, and nothing else.
    assert role["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]}
    ]
    program, manifest = pod["containers"][0]["command"][1:]
    assert f"COPY cluster/schedules/night.py {program}\n" in (CLUSTER / "Dockerfile").read_text()
    assert (KUBERAY / Path(manifest).name).exists()


def test_one_night_ends_before_the_next_begins():
    day = 24 * 3600
    cronjob = documents(SCHEDULES / "cronjob.yaml")[0]["spec"]["jobTemplate"]["spec"]
    rayjob = document(KUBERAY / "rayjob.yaml")["spec"]
    assert rayjob["activeDeadlineSeconds"] < cronjob["activeDeadlineSeconds"] < day


def test_systemd_understands_the_units(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze")
    for path in SCHEDULES.glob("clipbatch-audit.[ts]*"):
        text = path.read_text().replace("/opt/clipbatch/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text)
    units = sorted(map(str, tmp_path.iterdir()))
    assert len(units) == 2
    checked = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr.strip()) == (0, "")


def test_cron_has_one_line_with_five_times_and_a_user():
    lines = (SCHEDULES / "clipbatch-audit.cron").read_text().splitlines()
    (line,) = [x for x in lines if re.match(r"[\d*]", x)]
    assert re.match(r"(\d+|\*) (\d+|\*) \* \* \* clipbatch \S", line)
    assert "%" not in line  # cron reads it as a new line


# --- ray up, Docker, the shell ------------------------------------------------------------------


def test_ray_up_passes_rays_own_validator():
    from ray.autoscaler._private.util import prepare_config, validate_config

    file = document(CLUSTER / "ray-up.yaml")
    validate_config(prepare_config(copy.deepcopy(file)))
    assert file["available_node_types"][file["head_node_type"]]["resources"] == {"CPU": 0}
    workers = {k: v for k, v in file["available_node_types"].items() if k != "head"}
    assert sum(w["max_workers"] for w in workers.values()) == file["max_workers"]
    assert all(w["min_workers"] == w["max_workers"] for w in workers.values())
    with pytest.raises(jsonschema.ValidationError, match="max_wokers"):
        validate_config(prepare_config(file | {"max_wokers": 3}))


def test_the_image_copies_what_exists_and_what_docker_is_shown():
    shown = (CLUSTER / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in shown if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (CLUSTER / "Dockerfile").read_text(), re.M)
    sources = {source for line in copies for source in line.split()}
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_script_is_clean():
    script = str(CLUSTER / "local.sh")
    subprocess.run(["bash", "-n", script], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True)
    assert "ray stop" not in re.sub(r"#.*", "", Path(script).read_text())


# --- one version, one job, no secret ------------------------------------------------------------


def locked(name):
    lines = (ROOT / "requirements.lock").read_text()
    return re.search(rf"^{name}==([^ ;\\]+)", lines, re.M)[1]


def test_versions_are_those_of_the_lock():
    for path in FILES:
        text = path.read_text()
        for tag in re.findall(r"clipbatch:([\w.]+)", text):
            assert tag == __version__, path
        for version in re.findall(r"rayVersion: \"(.+)\"", text):
            assert version == locked("ray"), path
    # The lock was resolved for one Python; the image has it.
    python = re.search(r"--python-version (\S+)", (ROOT / "Makefile").read_text())[1]
    assert f"ARG PYTHON={python}\n" in (CLUSTER / "Dockerfile").read_text()
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert wanted == f">={python}"


def commands():
    """Every `python ...audit.py --config ...toml` that is written down, wherever it is."""
    texts = [p.read_text() for p in [*FILES, CLUSTER / "README.md", *(ROOT / "jobs").glob("*.py")]]
    return sorted(set(re.findall(r"python (\S+\.py) --config (\S+\.toml)", "\n".join(texts))))


@pytest.mark.parametrize(("job", "file"), commands())
def test_every_entrypoint_is_a_job_with_a_config_that_loads(job, file, monkeypatch):
    for name in ("SOURCE", "DATABASE", "REPORT", "GROCERIES"):
        monkeypatch.setenv(name, f"/a/{name.lower()}")
    program = ROOT / "jobs" / Path(job).name
    assert program.exists()
    if job.startswith("/") or "/" not in job:  # in the image, or shipped as --working-dir jobs
        assert job.removeprefix("/opt/clipbatch/jobs/") == program.name
    loaded = config.load(ROOT / "jobs" / "configs" / Path(file).name)
    assert loaded.collect.source == "/a/source" or "groceries" in file


@pytest.mark.parametrize("file", sorted(p.name for p in (ROOT / "jobs/configs").glob("*.toml")))
def test_every_config_that_is_shipped_loads(file, monkeypatch):
    for name in ("SOURCE", "DATABASE", "REPORT", "GROCERIES", "PICTURES", "DIGITS"):
        monkeypatch.setenv(name, f"/a/{name.lower()}")
    assert config.load(ROOT / "jobs" / "configs" / file).collect.source.startswith("/a/")


def test_entrypoints_are_found():
    assert len(commands()) >= 4  # the parametrised test above must not be empty


SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}|-----BEGIN|\b[0-9a-f]{32,}\b"
    r"|(?i:(?:password|secret|token|access_key)\w*\s*[:=]\s*['\"]?[\w/+]{12,})"
)


@pytest.mark.parametrize("path", [*FILES, CLUSTER / "README.md"], ids=lambda p: p.name)
def test_no_file_holds_a_secret(path):
    found = [m for m in SECRET.findall(path.read_text()) if "clipbatch-ray-token" not in m]
    assert found == []
    if path.suffix == ".yaml":
        assert "Secret" not in {d["kind"] for d in documents(path) if "kind" in d}


@pytest.mark.parametrize(
    "text", ["password: hunter2hunter2", "AWS_SECRET_ACCESS_KEY=abcdEFGH1234/+xy", 32 * "0a"]
)
def test_a_secret_would_be_seen(text):
    assert SECRET.search(text)


def test_the_readme_explains_every_counter():
    from clipbatch.runtime.metrics import COUNTERS

    text = (CLUSTER / "README.md").read_text()
    assert [name for name in COUNTERS if f"`ray_{name}_total`" not in text] == []


def test_the_readme_leads_to_files_and_forgets_none():
    text = (CLUSTER / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert all((CLUSTER / link).exists() for link in links)
    hidden = {"Dockerfile.dockerignore"}
    for path in FILES:
        named = path.name in text or str(path.parent.relative_to(CLUSTER)) in text
        assert named or path.name in hidden, path
