import shutil

import pytest
import torch

from mnist_drill.errors import DrillError
from mnist_drill.models import build
from mnist_drill.storage import checkpoint


@pytest.mark.parametrize("name", ["stage2.pt", "stage2.safetensors"])
def test_what_is_saved_is_loaded_under_any_name(name, tmp_path):
    original = build("stage2", 1)
    path = tmp_path / name
    checkpoint.save(path, original, "stage2", {})
    renamed = tmp_path / f"renamed{path.suffix}"
    shutil.copy(path, renamed)
    model, network = checkpoint.load(renamed)
    assert network == "stage2"
    assert all(torch.equal(value, original.state_dict()[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["none.pt", "none.safetensors"])
def test_a_file_that_is_not_there_says_so(name, tmp_path):
    with pytest.raises(DrillError, match=rf"{name}: No such file"):
        checkpoint.load(tmp_path / name)
