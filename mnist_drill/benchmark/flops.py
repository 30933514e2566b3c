"""Floating-point operations of a network, as torch counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode

if TYPE_CHECKING:
    from torch import nn


def flops_per_image(model: nn.Module, backward: bool = False) -> int:
    """FLOPs of a forward pass of one image of 28×28 pixels, with `backward` of a backward pass, too.

    Those of convolutions and matrix products; a multiplication and an addition are two. The network is left in
    evaluation mode.
    """
    model.eval()
    image = torch.zeros(1, 1, 28, 28, device=next(model.parameters()).device)
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
        logits = model(image)
        if backward:
            logits.sum().backward()
    return counter.get_total_flops()
