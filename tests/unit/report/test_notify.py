"""The verdict reaches a webhook and a command, harmless and without secrets, and never changes."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clipbatch.config import Check
from clipbatch.errors import ConfigError
from clipbatch.report import gate, notify, numbers
from clipbatch.report.model import RunRecord
from tests.unit.report import examples

pytestmark = pytest.mark.quick


@pytest.fixture
def hook(monkeypatch):
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_POST(self):
            self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(self.server.code)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.code = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("CLIPBATCH_WEBHOOK", f"http://127.0.0.1:{server.server_port}/S3CRETPATH")
    yield server
    server.shutdown()
    server.server_close()


def test_the_webhook_gets_the_verdict(hook, capsys):
    notify.notify(notify.verdict(examples.report(), "s3://key:sec@b/report.html"))
    (data,) = hook.got
    told = json.loads(data)
    assert (told["verdict"], told["exit_code"]) == ("failed", 1)
    assert told["text"].startswith("clipbatch ")
    assert told["new"]["suspects"] == 3
    assert {check["status"] for check in told["checks"]} == {"fail", "error", "warn"}
    assert "sec" not in told["report"]
    assert "S3CRETPATH" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("code", [500, 302, 404])
def test_a_webhook_that_fails_is_said_without_its_address(hook, code, capsys):
    hook.code = code
    notify.notify(notify.trouble(ConfigError("no such folder"), 2))
    said = "".join(capsys.readouterr())
    assert "was not told" in said
    assert str(code) in said
    assert "S3CRETPATH" not in said
    assert "127.0.0.1" not in said


def test_a_webhook_that_does_not_answer_is_given_up(monkeypatch, capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("CLIPBATCH_WEBHOOK", f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        monkeypatch.setattr(notify, "TIMEOUT_S", 0.2)
        notify.notify({"verdict": "passed"})
    assert "TimeoutError" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["file:///etc/passwd", "nonsense", "http://[bad"])
def test_only_http_is_called(monkeypatch, address, capsys):
    monkeypatch.setenv("CLIPBATCH_WEBHOOK", address)
    notify.notify({"verdict": "passed"})
    assert "was not told (ValueError)" in capsys.readouterr().err


def test_a_command_reads_it_and_its_failure_changes_nothing(tmp_path, monkeypatch, capsys):
    code = f"import sys; open({str(tmp_path / 'got')!r}, 'w').write(sys.stdin.read())"
    monkeypatch.setenv("CLIPBATCH_NOTIFY", f'{sys.executable} -c "{code}"')
    notify.notify({"verdict": "passed"})
    assert json.loads((tmp_path / "got").read_text()) == {"verdict": "passed"}
    monkeypatch.setenv("CLIPBATCH_NOTIFY", "/no/such/command --token=S3CRET")
    notify.notify({"verdict": "passed"})
    said = capsys.readouterr().err
    assert "$CLIPBATCH_NOTIFY was not told (FileNotFoundError" in said
    assert "S3CRET" not in said


@pytest.mark.parametrize("text", ["<!channel> @here", "[x](http://evil.example)", "*b* `c` ~d~"])
def test_no_text_of_others_is_markup_in_a_chat(text):
    checks = {text: Check("collection.bad", "==", 0)}
    facts = numbers.Facts(counts={"bad": 1, "images": 2})
    told = notify.verdict(gate.judge(RunRecord("r"), facts, checks))
    trouble = notify.trouble(ConfigError(f"{text}: no such folder"), 2)
    for message in (told["text"], told["checks"][0]["name"], trouble["text"]):
        assert not set(message.removeprefix("clipbatch")) & set("<>@[]*`~&|!#")
        assert "://" not in message
        assert "evil.example" not in message
