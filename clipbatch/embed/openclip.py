"""Any model of open_clip, by name, with weights from the hub or a local file.

``describe`` reads configurations and looks for the weights; the network is built by ``load``.
"""

from __future__ import annotations

import difflib
import hashlib
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from clipbatch.config import EmbedConfig
from clipbatch.embed import ENCODERS, hub
from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.embed.tower import Tower
from clipbatch.errors import ConfigError

if TYPE_CHECKING:
    import torch

SUFFIXES: Final = (".safetensors", ".pt", ".pth", ".bin", ".npz")

_PROMPTS: Final = 16  # rows of every forward pass of the text tower, as of pictures
# What readers of weights raise on a file that holds something else.
_UNREADABLE: Final = (
    EOFError,
    KeyError,
    RuntimeError,
    SafetensorError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True)
class Weights:
    """Where a model's weights are and how they were trained.

    Attributes:
        name: for the spec: the tag, or the hash of the file.
        training: open_clip's entry for the tag: hub file, mean, std, interpolation, ...
        file: a local or cached file; None where the hub has to be asked.
    """

    name: str
    training: dict[str, Any]
    file: Path | None


class OpenClip(Tower):
    """An open_clip model: its image tower, and its text tower on demand."""

    def encode_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Turn prompts into unit vectors (N, D), with the model's own tokenizer.

        Batches have one shape, so that a prompt's bits do not depend on its mates.

        Raises:
            ConfigError: the tokenizer's files are not to be had.
        """
        import open_clip
        import torch

        try:
            tokenizer = open_clip.get_tokenizer(self.spec.name)
        except OSError as error:
            raise ConfigError(hub.ways_out(self.spec.name, f"no tokenizer: {error}")) from error
        model = self.text_network()
        out = np.empty((len(texts), self.spec.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(texts), _PROMPTS):
                part = list(texts[start : start + _PROMPTS])
                padded = part + part[-1:] * (_PROMPTS - len(part))
                tokens = tokenizer(padded).to(self.device)
                vectors = torch.nn.functional.normalize(model.encode_text(tokens).float())
                out[start : start + len(part)] = vectors[: len(part)].cpu().numpy()
        return out

    def text_network(self) -> Any:
        """Return the open_clip model whose text side is used: here, the whole network."""
        return self.network


def describe(config: EmbedConfig, size: tuple[int, int] | None = None) -> EncoderSpec:
    """Say what the model promises, after making sure that its weights can be had.

    Args:
        config: ``weights`` is a hub tag, a file, or "tag=file" where the model's tags were
            trained with different preprocessing.
        size: not used.

    Raises:
        ConfigError: no such model, tag or file, or the hub does not answer.
    """
    name, model = _model(config.encoder)
    weights = _weights(name, config.weights)
    hub.require_text_files(name, model)
    if weights.file is None:
        hub.require(name, f"weights {weights.name}")
    return EncoderSpec(
        name=name,
        weights=weights.name,
        dim=model["embed_dim"],
        unit_length=True,
        preprocess=preprocess_of(model, weights.training),
    )


def load(config: EmbedConfig, spec: EncoderSpec, device: torch.device) -> OpenClip:
    """Build the model, load its weights (``weights_only``), and move it to the device.

    Raises:
        ConfigError: the weights cannot be had here, differ from the spec's, or do not fit.
    """
    import open_clip
    from open_clip import pretrained

    weights = _weights(spec.name, config.weights)
    if weights.name != spec.weights:
        raise ConfigError(
            f"embed.weights {config.weights}: got {weights.name} on this node, expected "
            f"{spec.weights} as on the driver; put the same file on every node"
        )
    if weights.file is None:
        hub.require(spec.name, f"weights {weights.name}")
    try:
        file = weights.file or pretrained.download_pretrained(weights.training)
        network = open_clip.create_model(
            spec.name,
            pretrained=str(file),
            force_quick_gelu=weights.training.get("quick_gelu", False),
            weights_only=True,
        )
    except OSError as error:
        raise ConfigError(hub.ways_out(spec.name, str(error))) from error
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"embed.weights {config.weights}: not the weights of {spec.name}: {reason}; name the "
            "model that the file was saved from"
        ) from error
    return OpenClip(network, spec, device, forward=lambda model, x: model.encode_image(x))  # type: ignore[operator]


def preprocess_of(model: dict[str, Any], training: dict[str, Any]) -> Preprocess:
    """Return a model's preprocessing, as ``open_clip.create_model_and_transforms`` would set it.

    Args:
        model: its configuration.
        training: open_clip's entry for its weights; {} takes open_clip's defaults.
    """
    from open_clip.transform import PreprocessCfg, merge_preprocess_dict

    merged = merge_preprocess_dict(PreprocessCfg(), training)
    side = model["vision_cfg"].get("image_size", merged["size"])
    height, width = side if isinstance(side, list | tuple) else (side, side)
    # open_clip itself resizes to oblong inputs with its default filter, whatever is configured.
    oblong = merged["resize_mode"] == "shortest" and height != width
    interpolation = merged["interpolation"]
    return Preprocess(
        height=height,
        width=width,
        resize=merged["resize_mode"],
        interpolation="bicubic" if oblong or interpolation == "random" else interpolation,
        mean=tuple(merged["mean"]),
        std=tuple(merged["std"]),
    )


def _model(encoder: str) -> tuple[str, dict[str, Any]]:
    """Return the model's name and configuration."""
    import open_clip

    name = encoder.replace("/", "-")  # ViT-B/32 is meant as ViT-B-32
    model: dict[str, Any] | None = open_clip.get_model_config(name)
    if model is None:
        near = _nearest(name, [*ENCODERS, *open_clip.list_models()])
        raise ConfigError(
            f"embed.encoder: got {encoder!r}, which open_clip {open_clip.__version__} does not "
            f"know; did you mean {near}?"
        )
    return name, model


def _weights(model: str, text: str) -> Weights:
    """Find what ``embed.weights`` names: a tag, a file, or "tag=file"."""
    from open_clip import get_pretrained_cfg, list_pretrained_tags_by_model

    tags = list_pretrained_tags_by_model(model)
    tag, _, rest = text.partition("=") if text.partition("=")[0] in tags else ("", "", text)
    path = Path(rest).expanduser()
    if rest and (path.suffix in SUFFIXES or path.is_file()):
        return _local(model, tag, path)
    training = get_pretrained_cfg(model, text) if text else {}
    if not training:
        known = f"did you mean {_nearest(text, tags)}" if tags else "it has none; give a file"
        raise ConfigError(
            f"embed.weights: got {text!r}, expected a hub tag of {model} or a file "
            f"({', '.join(SUFFIXES)}); {known}"
        )
    return Weights(text.lower().replace("-", "_"), training, hub.cached(training))


def _local(model: str, tag: str, path: Path) -> Weights:
    from open_clip import get_model_config, get_pretrained_cfg, list_pretrained_tags_by_model

    try:
        with path.open("rb") as file:
            name = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except OSError as error:
        raise ConfigError(hub.ways_out(model, f"{path}: {error.strerror or error}")) from error
    if tag:
        return Weights(f"{tag}-{name}", get_pretrained_cfg(model, tag), path)
    entries = [get_pretrained_cfg(model, t) for t in list_pretrained_tags_by_model(model)]
    config = get_model_config(model)
    if len({preprocess_of(config, entry) for entry in entries}) > 1:
        raise ConfigError(
            f"embed.weights {path}: {model} was trained with different preprocessings; say which "
            f"tag the file is, e.g. embed.weights={list_pretrained_tags_by_model(model)[0]}={path}"
        )
    # The activation stays the model's own, as in open_clip: "-quickgelu" is part of its name.
    training = {k: v for k, v in (entries[0] if entries else {}).items() if k != "quick_gelu"}
    return Weights(name, training, path)


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the nearest known words, or the first few where none is near."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.5)
    return " or ".join(names[n] for n in near or sorted(names)[:5])
