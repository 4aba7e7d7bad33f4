"""The joint encoder as a model of open_clip: its configuration, and its network with weights."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from clipbatch.embed.joint import towers

if TYPE_CHECKING:  # the configuration must be read quickly
    import torch
    from torch import nn

NAME: Final = "offline-lite"


def config() -> dict[str, Any]:
    """Return the model's configuration in open_clip's format, text tower not yet located."""
    text = files(__package__).joinpath(f"{NAME}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def register() -> None:
    """Make the model known to open_clip under NAME, in this process.

    Afterwards ``open_clip.get_model_config``, ``create_model`` and ``get_tokenizer`` know it.

    Raises:
        ConfigError: the text tower's package is not installed or has other files.
    """
    import open_clip

    if open_clip.get_model_config(NAME) is not None:
        return
    for pinned in (towers.TOKENIZER, towers.TOKENIZER_CONFIG):
        pinned.checked()
    folder = str(towers.TEXT_CONFIG.checked().parent)
    located = config()
    located["text_cfg"] |= {"hf_model_name": folder, "hf_tokenizer_name": folder}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"{NAME}.json"
        path.write_text(json.dumps(located), encoding="utf-8")
        open_clip.add_model_config(path)  # is read at once


def create() -> Any:
    """Return the whole model with all its weights, on the CPU, in evaluation mode.

    Raises:
        ConfigError: a package is missing, or a file has other bytes than it should have.
    """
    from clipbatch.embed import offline

    model = bare()
    tower = offline.classifier()
    model.visual.head = image_head(tower.classifier)  # type: ignore[arg-type]
    model.text.proj = text_head()
    tower.reset_classifier(0)  # type: ignore[operator]
    model.visual.trunk.load_state_dict(tower.state_dict())
    return model.eval().requires_grad_(False)


def bare() -> Any:
    """Return the model with the weights of its text tower, all others random."""
    import open_clip
    from safetensors.torch import load_file

    register()
    with _no_warnings():
        model: Any = open_clip.create_model(NAME, pretrained_text=False)
    unused = ("pooler.", "embeddings.position_ids")
    tensors = load_file(towers.TEXT.checked())
    kept = {k: v for k, v in tensors.items() if not k.startswith(unused)}
    model.text.transformer.load_state_dict(kept)
    return model.eval().requires_grad_(False)


def image_head(classifier: nn.Linear) -> nn.Module:
    """Return what follows the image tower; open_clip's own linear layer cannot say it.

    Raises:
        ConfigError: the projections have other bytes than they should have.
    """
    from clipbatch.embed.joint.heads import ImageHead

    head = ImageHead()
    own = {f"classes.{name}": value for name, value in classifier.state_dict().items()}
    head.load_state_dict(own | _projections("image."))
    return head.eval()


def text_head() -> nn.Module:
    """Return what follows the text tower.

    Raises:
        ConfigError: the projections have other bytes than they should have.
    """
    from clipbatch.embed.joint.heads import TextHead

    head = TextHead()
    head.load_state_dict(_projections("text."))
    return head.eval()


def _projections(side: str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors = load_file(towers.PROJECTIONS.checked())
    return {k.removeprefix(side): v.float() for k, v in tensors.items() if k.startswith(side)}


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Silence open_clip, which warns that weights are random; ours come right after."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
