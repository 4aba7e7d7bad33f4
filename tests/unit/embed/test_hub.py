import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from huggingface_hub import constants

from clipbatch.embed import hub
from clipbatch.errors import ConfigError

pytestmark = pytest.mark.quick


@pytest.fixture
def silent():
    """A server that accepts and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def refusing():
    class Refuse(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_error(403)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_any_answer_counts_and_silence_does_not_hang(silent, refusing):
    assert hub.answers(refusing, 5)
    begin = time.monotonic()
    assert not hub.answers(silent, 0.3)
    assert not hub.answers("http://127.0.0.1:9", 0.3)
    assert not hub.answers("no address", 0.3)
    assert time.monotonic() - begin < 3


def test_an_unreachable_hub_is_an_error_with_three_ways_out(monkeypatch, silent):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", silent)
    monkeypatch.setattr(hub, "TIMEOUT_S", 0.3)
    with pytest.raises(ConfigError) as caught:
        hub.require("ViT-B-32", "weights openai")
    text = str(caught.value)
    assert "\n" not in text
    for part in (
        "does not answer",
        "hf auth login",
        "embed.weights=/",
        "embed.encoder=offline-lite",
    ):
        assert part in text


def test_a_hub_that_answers_is_enough(monkeypatch, refusing):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", refusing)
    hub.require("ViT-B-32", "weights openai")


def test_a_text_tower_from_the_hub_is_asked_for_before_the_start(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = {"text_cfg": {"hf_model_name": "nobody/nothing"}}
    with pytest.raises(ConfigError, match="text tower nobody/nothing not in the hub's cache"):
        hub.require_text_files("roberta-ViT-B-32", model)
    hub.require_text_files("here", {"text_cfg": {"hf_model_name": str(tmp_path)}})
    hub.require_text_files("ViT-B-32", {"text_cfg": {"width": 512}})
