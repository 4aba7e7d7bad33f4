"""A genuine open_clip model: made by its own functions, equal to its parts."""

import json
import subprocess
import sys

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CustomTextCLIP

from clipbatch.embed.batch import run_padded
from clipbatch.embed.joint import heads, model, towers
from clipbatch.embed.noise import gaussian
from clipbatch.errors import ConfigError

TEXTS = ["a photo of a pear.", "Granny Smith apples on a shelf", "zebra", ""]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def whole():
    return model.create()


@pytest.fixture(scope="module")
def inputs():
    return gaussian([bytes([i] * 16) for i in range(5)], (3, 224, 224), CPU)


def test_open_clip_knows_it_by_name(whole):
    config = open_clip.get_model_config(model.NAME)
    assert config["embed_dim"] == model.config()["embed_dim"] == heads.DIM
    assert model.NAME in open_clip.list_models()
    assert type(whole) is CustomTextCLIP
    made = open_clip.create_model(model.NAME, pretrained_text=False)
    assert {n for n, _ in made.visual.trunk.named_parameters()} == {
        n for n, _ in whole.visual.trunk.named_parameters()
    }
    assert open_clip.get_tokenizer(model.NAME)(TEXTS).shape == (4, 64)


def test_its_pictures_equal_the_lean_encoders(whole, inputs, offline):
    with torch.inference_mode():
        theirs = whole.encode_image(inputs, normalize=True)
    torch.testing.assert_close(run_padded(offline, inputs, 16), theirs, rtol=0, atol=5e-6)


def test_its_prompts_are_what_the_encoder_returns(whole, offline):
    tokens = open_clip.get_tokenizer(model.NAME)(TEXTS)
    with torch.inference_mode():
        theirs = whole.encode_text(tokens, normalize=True).numpy()
    np.testing.assert_allclose(offline.encode_text(TEXTS), theirs, rtol=0, atol=5e-6)


def test_the_text_tower_equals_plain_transformers(whole):
    from transformers import BertModel, BertTokenizerFast

    folder = towers.TEXT.checked().parent
    plain = BertModel.from_pretrained(folder).eval()
    batch = BertTokenizerFast.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        last, mask = plain(**batch).last_hidden_state, batch["attention_mask"][..., None]
        expected = whole.text.proj((last * mask).sum(1) / mask.sum(1))
        got = whole.encode_text(open_clip.get_tokenizer(model.NAME)(TEXTS))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_bits_of_a_prompt_do_not_depend_on_its_mates(offline):
    alone = [offline.encode_text([text])[0] for text in TEXTS]
    many = offline.encode_text([*(f"number {i}" for i in range(21)), *TEXTS])
    np.testing.assert_array_equal(np.stack(alone), many[21:])
    assert offline.encode_text([]).shape == (0, heads.DIM)


@pytest.mark.parametrize(
    "pinned", [towers.TEXT, towers.TOKENIZER, towers.PROJECTIONS], ids=lambda p: p.name
)
def test_a_tampered_file_is_refused(pinned, tmp_path, monkeypatch):
    copy = tmp_path / pinned.path().name
    with pinned.path().open("rb") as file:
        copy.write_bytes(file.read(1_000_000) + b"\x01")
    where = towers.Pinned.path
    monkeypatch.setattr(towers.Pinned, "path", lambda p: copy if p == pinned else where(p))
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: None)  # as in a new process
    with pytest.raises(ConfigError, match=rf"{copy.name}: got SHA-256 .*expected {pinned.sha256}"):
        model.create() if pinned != towers.PROJECTIONS else model.text_head()


def test_without_any_network_everything_works():
    guard = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError(f'asked the network: {a[1:]}')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "import json, torch; from clipbatch import embed\n"
        "from clipbatch.config import EmbedConfig\n"
        "torch.set_num_threads(1)\n"
        "import sys\n"
        "encoder = embed.load(EmbedConfig(), torch.device('cpu'))\n"
        "picture = encoder.encode(torch.zeros(1, 3, 224, 224))\n"
        "assert not {'transformers', 'open_clip'} & set(sys.modules), 'pictures loaded the words'\n"
        f"text = encoder.encode_text({TEXTS[:1]!r})\n"
        "print(json.dumps([len(picture[0]), len(text[0])]))\n"
    )
    apart = ["unshare", "-n"]  # no route out at all, where the system permits it
    permitted = subprocess.run([*apart, "true"], check=False, capture_output=True).returncode == 0
    done = subprocess.run(
        [*(apart if permitted else []), sys.executable, "-c", guard],
        env={"PATH": "/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [heads.DIM, heads.DIM]
