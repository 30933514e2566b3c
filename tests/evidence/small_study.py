"""Collects a study of 500 digits into the folder that it is given: a program of its own, so that it can be killed.

Spawned workers run this file too, all but its last lines.
"""

import sys
from dataclasses import replace
from pathlib import Path

from mnist_drill import data, evidence
from mnist_drill.models import stage2
from mnist_drill.studies import Alternative, Study
from mnist_drill.train import Recipe

RECIPE = Recipe(epochs=3, learning_rate=0.1, batch_size=50)
STUDY = Study(
    {"slow": Alternative(stage2, replace(RECIPE, learning_rate=0.01)), "fast": Alternative(stage2, RECIPE)}, seeds=3
)
everything, test = data.load()

data.load = lambda: (everything[:500], test[:200])
evidence.FOLDER = Path(sys.argv[1])
evidence.STUDIES["small"] = STUDY

if __name__ == "__main__":
    evidence.collect("small", device="cpu", jobs=2)
