"""Are a model's files to be had from the hub? Asked before any work starts, and never for long."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from clipbatch.errors import ConfigError

TIMEOUT_S: Final = 5.0


def cached(training: dict[str, Any]) -> Path | None:
    """Return the weights' file from the hub's local cache, or None.

    Args:
        training: open_clip's entry for a tag; "hub repository/file", the file often left out.
    """
    from huggingface_hub import try_to_load_from_cache
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    repository, _, filename = training.get("hf_hub", "").rpartition("/")
    if not repository:
        return None
    plain = filename or HF_WEIGHTS_NAME
    safe = str(Path(plain).with_suffix(".safetensors")) if filename else HF_SAFE_WEIGHTS_NAME
    for candidate in (safe, plain):
        found = try_to_load_from_cache(repository, candidate)
        if isinstance(found, str):
            return Path(found)
    return None


def require_text_files(name: str, model: dict[str, Any]) -> None:
    """Refuse a model whose text tower is configured on the hub, where the hub is out of reach.

    Raises:
        ConfigError: the files are not in the cache and the hub does not answer.
    """
    from huggingface_hub import try_to_load_from_cache

    text = model.get("text_cfg", {}).get("hf_model_name", "")
    if text and not Path(text).is_dir() and not try_to_load_from_cache(text, "config.json"):
        require(name, f"text tower {text}")


def require(name: str, what: str) -> None:
    """Refuse to go on where the hub is switched off or does not answer.

    Args:
        name: the model, for the message.
        what: the files that are missing here, for the message.

    Raises:
        ConfigError: with the three ways out.
    """
    from huggingface_hub import constants

    missing = f"{what} not in the hub's cache here"
    if constants.HF_HUB_OFFLINE:
        raise ConfigError(ways_out(name, f"{missing} and HF_HUB_OFFLINE is set"))
    if not answers(constants.ENDPOINT, TIMEOUT_S):
        raise ConfigError(ways_out(name, f"{missing} and {constants.ENDPOINT} does not answer"))


def answers(url: str, seconds: float) -> bool:
    """Say whether a server answers anything within the time, a slow name lookup included."""
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")  # noqa: S310
            urllib.request.urlopen(request, timeout=seconds).close()  # noqa: S310
        except urllib.error.HTTPError:
            pass  # a refusal is an answer
        except (OSError, ValueError):
            return
        answered.set()

    asking = threading.Thread(target=ask, daemon=True)  # a lookup cannot be interrupted
    asking.start()
    asking.join(seconds)
    return answered.is_set()


def ways_out(model: str, problem: str) -> str:
    """Return the one-line message for weights that are not to be had."""
    return (
        f"{model}: {problem}. Three ways out: allow the hub and download once (hf auth login where "
        "the model asks for it; afterwards HF_HUB_OFFLINE=1 works), give a local file "
        "(embed.weights=/path/to/file.safetensors), or use the offline encoder "
        "(embed.encoder=offline-lite)"
    )
