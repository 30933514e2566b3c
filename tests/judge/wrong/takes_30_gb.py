"""It takes 30 GB."""

import torch


def network():
    return [torch.ones(2**28) for _ in range(30)]
