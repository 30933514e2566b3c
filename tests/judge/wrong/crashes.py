"""It reads memory that is not its own."""

import ctypes


def network():
    ctypes.string_at(0)
