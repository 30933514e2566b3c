"""torchvision's classification networks, adapted to MNIST: one channel in, ten classes out.

As everywhere in this package, a network takes images of shape (N, 1, 28, 28), normalized, and returns logits of shape
(N, 10). What torchvision's networks need beyond that, more pixels above all, is done inside.
"""

from __future__ import annotations

import http.client
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision import models

from mnist_drill.errors import DrillError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

NAMES = tuple(models.list_models(module=models))
# What fetching weights can raise, and reading a file that is damaged or holds something else.
WEIGHTS_FAILURES = (OSError, RuntimeError, EOFError, http.client.HTTPException, pickle.UnpicklingError)
LARGEST_SIDE = 1024  # pixels; enough for any of them, and no file or option can ask for all the memory there is


class Adapted(nn.Module):
    """A network of three channels and 1,000 classes, adapted to MNIST.

    Its first convolution takes one channel: the weights of the three are summed, which is what the network would make
    of a grey image in all three. Its last layer is a new one, of ten classes. Images are resized to `side` × `side`.
    With `freeze` the rest is a frozen backbone: the last layer alone is trained (a linear probe), and batch norm keeps
    its running statistics.
    """

    def __init__(self, network: nn.Module, side: int, freeze: bool = False):
        super().__init__()
        self.network, self.side, self.freeze = network, side, freeze
        network.requires_grad_(not freeze)
        layers = dict(network.named_modules())
        for layer in layers.values():
            if isinstance(layer, nn.BatchNorm2d):
                # Some families average over more steps than a short training has.
                layer.momentum = 0.1
        first = next(name for name in layers if isinstance(layers[name], nn.Conv2d))
        (last,) = (name for name, layer in layers.items() if 1000 in _widths(layer))
        network.set_submodule(first, _one_channel(layers[first]))
        network.set_submodule(last, _ten_classes(layers[last]))
        self.last = last  # its name

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != self.side:
            images = F.interpolate(images, (self.side, self.side), mode="bilinear")
        return self.network(images)

    def train(self, mode: bool = True) -> Adapted:
        super().train(mode)
        if self.freeze:
            self.network.eval()
            self.network.get_submodule(self.last).train(mode)
        return self


def adapted(name: str, side: int | None = None, pretrained: bool = False, freeze: bool = False) -> Adapted:
    """A torchvision network adapted to MNIST; see `Adapted`.

    `pretrained` takes torchvision's ImageNet-pretrained default weights. Auxiliary classifiers (GoogLeNet, Inception)
    are left out. Without a `side` it is the smallest that the network accepts, and at least 28. Raises `DrillError` for
    a side that it does not accept, and where the weights can neither be found nor fetched.
    """
    smallest = _smallest_side(name, pretrained)
    side = side or smallest
    if not smallest <= side <= LARGEST_SIDE:
        raise DrillError(f"{name} takes images of {smallest} to {LARGEST_SIDE} pixels to a side, not of {side}")
    options = {}
    if name in ("googlenet", "inception_v3"):
        options = {} if pretrained else {"aux_logits": False, "init_weights": True}
    if name.startswith("vit"):
        options = {"image_size": side}
    if name.startswith("maxvit"):
        options = {"input_size": (side, side)}
    try:
        network = models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    except (ValueError, AssertionError) as error:
        raise DrillError(f"{name} does not take images of {side} × {side} pixels: {error}") from None
    except WEIGHTS_FAILURES as error:
        if not pretrained:
            raise
        address = models.get_model_weights(name).DEFAULT.url
        file = Path(torch.hub.get_dir(), "checkpoints", Path(address).name)
        reason = str(error).partition("\n")[0] or type(error).__name__
        if file.exists():
            raise DrillError(f"{file} does not hold the weights of {name} ({reason}): delete it") from None
        raise DrillError(f"the weights of {name} could not be fetched ({reason}): save {address} as {file}") from None
    if name in ("googlenet", "inception_v3"):
        network.aux_logits = network.transform_input = False
        network.AuxLogits = network.aux1 = network.aux2 = None
    return Adapted(network, side, freeze)


class _WithoutValues(TorchFunctionMode):
    """Leaves weights as they were allocated, which takes no time and, while nobody reads them, no memory."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"]
        return function(*args, **(kwargs or {}))


def without_values(name: str) -> AbstractContextManager:
    """In it networks of that name are built in no time, their weights and buffers without values."""
    # RegNets calculate their widths with tensors, which have no values on the device "meta".
    return _WithoutValues() if name.startswith("regnet") else torch.device("meta")


def _smallest_side(name: str, pretrained: bool) -> int:
    if name.startswith("vit") and not pretrained:
        return max(28, 2 * int(name.rpartition("_")[2]))  # two patches to a side
    if name.startswith("swin"):
        return 32  # windows are padded; torchvision names the side of the training images
    return max(28, models.get_model_weights(name).DEFAULT.meta["min_size"][0])


def _widths(layer: nn.Module) -> tuple[int, int]:
    return getattr(layer, "out_features", 0), getattr(layer, "out_channels", 0)


def _one_channel(layer: nn.Conv2d) -> nn.Conv2d:
    changed = nn.Conv2d(
        1,
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        layer.padding,
        layer.dilation,
        bias=layer.bias is not None,
    )
    changed.load_state_dict({**layer.state_dict(), "weight": layer.weight.sum(dim=1, keepdim=True)})
    return changed.requires_grad_(layer.weight.requires_grad)


def _ten_classes(layer: nn.Linear | nn.Conv2d) -> nn.Linear | nn.Conv2d:
    if isinstance(layer, nn.Conv2d):
        return nn.Conv2d(layer.in_channels, 10, layer.kernel_size)
    return nn.Linear(layer.in_features, 10)
