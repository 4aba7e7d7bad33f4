"""Encoder "offline-lite": pictures and words in one space, from packages, without a hub.

The image tower is EfficientNet-Lite0 (Tan and Le, ICML 2019; the Lite variants are theirs too),
trained on ImageNet; the text tower is all-MiniLM-L6-v2. What joins them is ours: clipbatch.embed.
joint says what, and docs/encoders/offline-lite.md what it can do. Pictures never load the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clipbatch.config import EmbedConfig
from clipbatch.embed.encoder import EncoderSpec, Preprocess
from clipbatch.embed.joint import model, towers
from clipbatch.errors import ConfigError

if TYPE_CHECKING:  # describe() must be quick
    import torch
    from torch import nn

    from clipbatch.embed.joint.encoder import OfflineLite

# Input 224 cut out of 256; (x - 127) / 128 on 0..255, as in the tower's own training code.
PREPROCESS: Final = Preprocess(
    height=224,
    width=224,
    resize="shortest",
    interpolation="bicubic",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    crop=224 / 256,
)


def describe(config: EmbedConfig, size: tuple[int, int] | None = None) -> EncoderSpec:
    """Say what the encoder promises, after checking that its weights are there and untouched.

    Raises:
        ConfigError: a package is missing, a file has other bytes, or weights were named.
    """
    if config.weights:
        raise ConfigError(
            f"embed.weights: got {config.weights!r}, but {model.NAME} has its own; remove it"
        )
    for pinned in (towers.IMAGE, towers.PROJECTIONS):
        pinned.checked()
    return EncoderSpec(
        name=model.NAME,
        weights=towers.PROJECTIONS.sha256[:12],  # they were fitted on these towers and no others
        dim=model.config()["embed_dim"],
        unit_length=True,
        preprocess=PREPROCESS,
    )


def load(config: EmbedConfig, spec: EncoderSpec, device: torch.device) -> OfflineLite:
    """Load the encoder onto a device; its words are loaded at the first prompt.

    Raises:
        ConfigError: a package is missing or a file has other bytes.
    """
    from clipbatch.embed.joint.encoder import OfflineLite

    return OfflineLite(network(), spec, device)


def classifier() -> nn.Module:
    """Return timm's network with the package's weights, 1000 ImageNet logits, evaluation mode."""
    import timm
    import torch

    tower: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    weights = torch.load(towers.IMAGE.checked(), map_location="cpu", weights_only=True)
    # Both name every tensor in the order of the layers; the pinned hash fixes that order.
    names = dict(zip(tower.state_dict(), weights.values(), strict=True))
    tower.load_state_dict(names)
    return tower.eval()


def network() -> nn.Module:
    """Return the picture side, (B, 3, 224, 224) to the joint space (B, D), made for inference."""
    from torch import nn

    tower = absorb(classifier())
    head = model.image_head(tower.classifier)  # type: ignore[arg-type]
    tower.reset_classifier(0)  # type: ignore[operator]
    return nn.Sequential(tower, head).eval()


def absorb(tower: nn.Module) -> nn.Module:
    """Fold batch norms into their convolutions, and asymmetric padding into kernels, in place.

    A stride-2 "same" convolution pads an even input by one more on the right than on the left,
    which costs a copy of the whole activation; a kernel with a leading row and column of zeros
    and symmetric padding is the same function.
    """
    from timm.layers.conv2d_same import Conv2dSame
    from torch import nn

    at = ""
    for name, module in list(tower.named_modules()):
        if isinstance(module, nn.Conv2d):
            at = name
        elif isinstance(module, nn.BatchNorm2d):
            convolution = tower.get_submodule(at)
            assert isinstance(convolution, nn.Conv2d)
            folded = nn.utils.fuse_conv_bn_eval(convolution, module)
            same = isinstance(convolution, Conv2dSame)
            tower.set_submodule(at, _symmetric(folded) if same else folded)
            tower.set_submodule(name, module.act)  # type: ignore[arg-type]
    return tower


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
