"""cluster/schedules/night.py against an API server that speaks TLS, refuses, fails and forgets."""

import datetime as dt
import importlib.util
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

pytestmark = pytest.mark.quick

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("night", ROOT / "cluster/schedules/night.py")
night = importlib.util.module_from_spec(spec)
spec.loader.exec_module(night)

RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
SUCCEEDED = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
FAILED = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "exit code 3"}


class Server(ThreadingHTTPServer):
    """Answers a POST with codes in turn, and a GET with states (or codes) in turn."""

    created = (201,)
    states = ({}, RUNNING, SUCCEEDED)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.posts, self.gets, self.tokens = [], [], set()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def reply(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        self.server.tokens.add(self.headers["Authorization"])
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.posts.append((self.path, body))
        turn = min(len(self.server.posts), len(self.server.created)) - 1
        self.reply(self.server.created[turn], {})

    def do_GET(self):
        self.server.tokens.add(self.headers["Authorization"])
        self.server.gets.append(self.path)
        state = self.server.states[min(len(self.server.gets), len(self.server.states)) - 1]
        if isinstance(state, int):
            self.reply(state, {"message": "no"})
        else:
            self.reply(200, {"status": state} if state else {})


def certificate(folder):
    """Write a self-signed certificate of 127.0.0.1 with its key; returns the key's path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api")])
    now = dt.datetime.now(dt.UTC)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(host, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "key.pem"


@pytest.fixture
def server(tmp_path, monkeypatch):
    key = certificate(tmp_path)
    (tmp_path / "token").write_text("the-account\n")
    made = Server()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "ca.crt", key)
    made.socket = tls.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    for name, value in {
        "KUBERNETES_SERVICE_HOST": "127.0.0.1",
        "KUBERNETES_SERVICE_PORT": str(made.server_port),
        "NAMESPACE": "pictures",
        "JOB_NAME": "clipbatch-nightly-29390550",
        "JOB_UID": "a-uid",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(night, "PATIENCE", 3)
    yield made
    made.shutdown()
    made.server_close()


def run(tmp_path):
    manifest = str(ROOT / "cluster" / "kuberay" / "rayjob.yaml")
    return night.main(manifest, account=tmp_path, pause=0.01)


def test_the_rayjob_has_tonights_name_and_belongs_to_tonights_job(server, tmp_path):
    assert run(tmp_path) == 0
    ((path, body),) = server.posts
    assert path == "/apis/ray.io/v1/namespaces/pictures/rayjobs"
    assert body["metadata"]["name"] == "clipbatch-nightly-29390550"
    assert body["metadata"]["ownerReferences"][0]["uid"] == "a-uid"
    assert body["kind"] == "RayJob"
    assert "jobs/audit.py" in body["spec"]["entrypoint"]
    assert server.gets == 3 * [f"{path}/clipbatch-nightly-29390550"]
    assert server.tokens == {"Bearer the-account"}


def test_a_restarted_pod_waits_for_the_rayjob_that_is_there(server, tmp_path):
    server.created = (409,)
    assert run(tmp_path) == 0
    assert len(server.posts) == 1


@pytest.mark.parametrize("end", [FAILED, {"jobDeploymentStatus": "ValidationFailed"}])
def test_a_failed_audit_fails_the_night(server, tmp_path, end, capsys):
    server.states = (RUNNING, end)
    assert run(tmp_path) == 1
    assert end.get("message", "ValidationFailed") in capsys.readouterr().out


def test_a_lost_connection_is_tried_again(server, tmp_path):
    server.created = (503, 429, 201)
    server.states = (RUNNING, 500, 500, SUCCEEDED)
    assert run(tmp_path) == 0
    assert len(server.posts) == 3


def test_an_api_server_that_stays_away_is_incomplete(server, tmp_path, capsys):
    server.states = (503,)
    assert run(tmp_path) == 3
    assert "the API server was lost" in capsys.readouterr().err


@pytest.mark.parametrize("code", [403, 422])
def test_a_refusal_says_why_and_is_not_tried_again(server, tmp_path, code, capsys):
    server.created = (code,)
    assert run(tmp_path) == 2
    assert f"HTTP {code}" in capsys.readouterr().err
    assert len(server.posts) == 1


def test_a_stranger_instead_of_the_api_server_is_not_told_the_token(server, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    certificate(other)
    (other / "token").write_text("the-account\n")
    assert run(other) == 3
    assert server.tokens == set()
