"""Where the tables of a series lie: a local disk, moto, or SeaweedFS; all on this machine."""

import os
import random
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.torture.processes import Mark, start

NAMES = ("local", "moto", "seaweed")
START_S = 60.0


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, from a range that nobody hands out by itself."""
    found: list[int] = []
    # Not seeded: two sessions at once must not agree.
    for port in random.SystemRandom().sample(range(20_000, 32_000), 1000):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            break
    return found


class Store:
    """A place for databases.

    Args:
        name: local, moto or seaweed.
        mark: of the session; the server's processes carry it.
        folder: for a local database, or the server's files and log.
        host: address of this machine that the server listens at.
    """

    def __init__(self, name: str, mark: Mark, folder: Path, host: str = "127.0.0.1") -> None:
        self.name, self.mark, self.folder, self.host = name, mark.part("store"), folder, host
        self.port = 0
        if name != "local":
            self._serve()

    @property
    def environment(self) -> dict[str, str]:
        """Return what names the server to Lance, obstore, boto3 and DuckDB."""
        if not self.port:
            return {}
        return {
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{self.host}:{self.port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def database(self, name: str) -> str:
        """Return the address of a new database."""
        return f"s3://torture/{name}" if self.port else str(self.folder / name)

    def upload(self, prefix: str, files: Mapping[str, bytes]) -> None:
        """Put files below a prefix of the bucket."""
        client = self._client()
        for name, data in files.items():
            client.put_object(Bucket="torture", Key=f"{prefix}{name}", Body=data)

    def stop(self) -> None:
        """End the server."""
        if self.port:
            self.mark.kill()

    def _serve(self) -> None:
        (self.folder / "server").mkdir(parents=True, exist_ok=True)
        ports = free_ports(10)
        self.port = ports[0]
        command = {"moto": self._moto, "seaweed": self._weed}[self.name](ports)
        start(command, self.mark, {"MOTO_CALL_RESET_API": "false"}, self.folder / "server.log")
        until = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > until:
                raise TimeoutError(f"{self.name} does not answer; see {self.folder}/server.log")
            time.sleep(0.3)
        os.environ.update(self.environment)  # the judge reads from here

    def _moto(self, ports: list[int]) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(ports[0])]

    def _weed(self, ports: list[int]) -> list[str]:
        names = ("s3", "master", "volume", "filer")
        numbers = [f"-{n}.port={p}" for n, p in zip(names, ports, strict=False)]
        numbers += [f"-{n}.port.grpc={p}" for n, p in zip(names, ports[4:], strict=False)]
        return [
            *(str(Path(sys.executable).parent / "weed"), "server", "-s3", *numbers),
            *(f"-ip={self.host}", f"-ip.bind={self.host}", f"-dir={self.folder / 'server'}"),
            *("-master.telemetry=false", "-volume.max=100", "-master.volumeSizeLimitMB=64"),
        ]

    def _client(self):  # the stubs' types would have to be imported for a name
        return boto3.client(
            "s3",
            endpoint_url=f"http://{self.host}:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret",
            config=Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 1}),
        )

    def _answers(self) -> bool:
        """Tell whether a bucket can be made and an object kept."""
        client = self._client()
        try:
            client.create_bucket(Bucket="torture")
        except (BotoCoreError, ClientError) as error:
            if "BucketAlready" not in str(error):
                return False
        try:
            client.put_object(Bucket="torture", Key="first", Body=b"1")
        except (BotoCoreError, ClientError):
            return False
        return True
