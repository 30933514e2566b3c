"""It leaves a process behind that belongs to nobody."""

import os
import time

from torch import nn


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 5, stride=3)
        self.last = nn.Linear(8, 10)

    def forward(self, x):
        return self.last(self.first(x).relu().mean((2, 3)))


def network():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1234.5)
        os._exit(0)
    return Network()
