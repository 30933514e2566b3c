"""The course's studies: each network over many seeds, and an ablation or comparison for what a notebook chooses.

`collect` trains them, `stored` keeps their runs. A stage trains on the whole training set and is evaluated on the test
set, as in its notebook. A choice is a study in a TOML file beside this module: it trains on 50,000 images and is
evaluated on the validation set of `data.split`. Nothing is chosen on the test set.
"""

from __future__ import annotations

from pathlib import Path

from mnist_drill.stages import NETWORKS
from mnist_drill.study.file import read_study
from mnist_drill.study.network import Network
from mnist_drill.study.plan import Row, Study


def _seeds(number: int) -> tuple[int, ...]:
    return tuple(range(1, number + 1))


STUDIES = {
    name: Study({name: Row(Network(name), stage.recipe)}, _seeds(stage.seeds), evaluated_on="test")
    for name, stage in NETWORKS.items()
} | {path.stem: read_study(path) for path in sorted(Path(__file__).parent.glob("*.toml"))}
