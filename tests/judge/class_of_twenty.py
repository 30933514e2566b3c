"""Judges a class on few images, in a process that the tests kill: `class_of_twenty.py FOLDER OUT`."""

import sys
from dataclasses import replace
from pathlib import Path

from mnist_drill import data
from mnist_drill.judge.classroom import judge_folder
from mnist_drill.judge.rules import PRESETS, Limits
from mnist_drill.judge.sets import Sets

RULES = replace(
    PRESETS["drill"], epochs=1, seeds=1, accuracy=30.0, shift_drop=30.0,
    limits=Limits(seconds_to_examine=30, minutes_to_train=3, memory_gb=2),
)  # fmt: skip

if __name__ == "__main__":
    train_set, test_set = data.load()
    sets = Sets(train_set[:900], test_set[:300])
    judge_folder(
        Path(sys.argv[1]), Path(sys.argv[2]), RULES, jobs=2, tell=lambda x: print(x, flush=True), sets=sets, speed=False
    )
