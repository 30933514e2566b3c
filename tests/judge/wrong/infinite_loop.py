"""It never ends."""


def network():
    while True:
        pass
