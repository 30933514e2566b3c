"""The benchmark: how fast the course trains and evaluates, and against what."""

PARTS = ("epoch", "limit", "parts", "goals", "inference", "memory")  # what it measures, in order; see `report`
