"""It is no Python."""

def network(:
    pass
