"""The network and the recipe of stage 4, notebook 4."""

from mnist_drill.networks import stage4 as network  # noqa: F401
from mnist_drill.recipes import STAGE4 as recipe  # noqa: F401
