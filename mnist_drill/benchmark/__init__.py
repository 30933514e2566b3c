"""The benchmark: how fast the course trains and evaluates, and against what."""

# What it measures, in order; see `report`.
PARTS = ("epoch", "published", "limit", "parts", "goals", "inference", "memory")
