"""Collects a study of 500 images into the folder that it is given: a program of its own, so that it can be killed.

Spawned workers run this file too, all but its last lines.
"""

import sys
from dataclasses import replace
from pathlib import Path

from mnist_drill import data
from mnist_drill.evidence import stored
from mnist_drill.evidence.collect import collect
from mnist_drill.evidence.studies import STUDIES
from mnist_drill.recipes import Recipe
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study

RECIPE = Recipe(epochs=3, learning_rate=0.1, batch_size=50)
ROWS = {"slow": replace(RECIPE, learning_rate=0.01), "fast": RECIPE}
STUDY = Study({name: Row(Network("stage2"), recipe) for name, recipe in ROWS.items()}, seeds=(1, 2))
train_set, test_set = data.load()

data.load = lambda: (train_set[:500], test_set[:200])
stored.FOLDER = Path(sys.argv[1])
STUDIES["small"] = STUDY

if __name__ == "__main__":
    collect("small", device="cpu", jobs=2)
