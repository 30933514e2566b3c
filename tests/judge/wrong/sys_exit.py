"""It ends its process."""

import sys


def network():
    sys.exit("good bye")
