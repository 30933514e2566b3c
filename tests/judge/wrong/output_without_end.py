"""It prints without end."""


def network():
    while True:
        print("x" * 1000)
