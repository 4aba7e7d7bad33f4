"""Object stores on this machine: moto, which honours conditional writes, and one that does not."""

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer


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
