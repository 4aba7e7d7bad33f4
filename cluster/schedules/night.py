"""Create tonight's RayJob through the Kubernetes API, wait for it, and end as it ended.

Exit codes: 0 it succeeded, 1 it failed, 2 it could not be created, 3 the API server was lost.
Needs nothing but the image: the pod's service account, and its Job's name and uid as environment.
"""

# ruff: noqa: T201 - what it prints is the pod's log

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
EVERY_S = 15.0
PATIENCE = 40  # failed calls in a row, about ten minutes
ENDED = ("Complete", "Failed", "ValidationFailed")
CONFLICT = 409
SERVER_ERROR = 500
TOO_MANY = 429


class Refused(Exception):
    """The API server said no, and would say so again."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"HTTP {code}: {message}")
        self.code = code


class Api:
    """The RayJobs of one namespace."""

    def __init__(self, server: str, namespace: str, account: Path) -> None:
        self.url = f"{server}/apis/ray.io/v1/namespaces/{namespace}/rayjobs"
        self.account = account
        self.tls = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def call(self, path: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET, or POST a body; raises OSError where trying again may help, else Refused."""
        request = urllib.request.Request(  # noqa: S310 - the cluster's own API server
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                # Read each time: the kubelet renews it.
                "Authorization": f"Bearer {(self.account / 'token').read_text().strip()}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:
            if error.code >= SERVER_ERROR or error.code == TOO_MANY:
                raise
            raise Refused(error.code, error.read().decode(errors="replace")) from error


def tonight(manifest: dict[str, Any], name: str, uid: str) -> dict[str, Any]:
    """Return the manifest under tonight's name, owned by the Job, which takes it along."""
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
    return manifest | {
        "metadata": manifest["metadata"] | {"name": name, "ownerReferences": [owner]}
    }


def create(api: Api, job: dict[str, Any], pause: float) -> None:
    """Create the RayJob; one of this name is this night's, made before this pod was restarted."""
    try:
        patiently(api, "", job, pause)
    except Refused as refusal:
        if refusal.code != CONFLICT:
            raise


def wait(api: Api, name: str, pause: float) -> bool:
    """Wait until the RayJob has ended; says whether it succeeded."""
    said = ""
    while True:
        status = patiently(api, f"/{name}", None, pause).get("status", {})
        state = f"{status.get('jobDeploymentStatus', 'New')} {status.get('jobStatus', '')}"
        if state != said:
            said = state
            print(f"night    {name}: {state} {status.get('message', '')}".rstrip(), flush=True)
        if status.get("jobDeploymentStatus") in ENDED:
            return bool(status.get("jobStatus") == "SUCCEEDED")
        time.sleep(pause)


def patiently(api: Api, path: str, body: dict[str, Any] | None, pause: float) -> dict[str, Any]:
    """Call the API; a lost connection is tried again for a while."""
    for _ in range(PATIENCE):
        try:
            return api.call(path, body)
        except OSError as error:
            problem = error
            print(f"night    {problem}; again in {pause:g} s", flush=True)
            time.sleep(pause)
    raise problem


def main(manifest: str, account: Path = ACCOUNT, pause: float = EVERY_S) -> int:
    """Run tonight's RayJob; returns the exit code."""
    name = os.environ["JOB_NAME"]
    job = tonight(yaml.safe_load(Path(manifest).read_text()), name, os.environ["JOB_UID"])
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    api = Api(server, os.environ["NAMESPACE"], account)
    try:
        create(api, job, pause)
        return 0 if wait(api, name, pause) else 1
    except Refused as refusal:
        print(f"night    {name}: {refusal}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"night    {name}: the API server was lost: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
