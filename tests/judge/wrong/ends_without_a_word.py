"""It ends its process at once."""

import os


def network():
    os._exit(0)
