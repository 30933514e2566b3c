"""Names of another language."""

from torch import nn


def größe():
    return 8


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.erste_schicht_für_ziffern = nn.Conv2d(1, größe(), 5, stride=3)
        self.最後 = nn.Linear(größe(), 10)

    def forward(self, bild):
        return self.最後(self.erste_schicht_für_ziffern(bild).relu().mean((2, 3)))
