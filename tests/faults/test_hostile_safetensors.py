"""Hostile files in the safetensors format: each is refused in one line."""

import json
import struct

import pytest
import safetensors.torch

from mnist_drill.models import build
from tests.faults.checkpoints import refused, saved, whole


def safe(**changes):
    head = {"format": "1", "network": "stage2", "changes": "{}"} | changes
    return safetensors.torch.save(build("stage2", 1).state_dict(), head)


HOSTILE_SAFETENSORS = {
    "empty": lambda: b"",
    "a header of exabytes": lambda: struct.pack("<Q", 1 << 62) + b"{}",
    "a header that is no JSON": lambda: struct.pack("<Q", 8) + b"not JSON" + bytes(100),
    "tensors beyond the end": lambda: safe()[:-100],
    "a shape that is none": lambda: with_header(
        {"0.0.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 4]}}
    ),
    "another format": lambda: safe(format="9"),
    "a format that is a word": lambda: safe(format="new"),
    "changes that are no JSON": lambda: safe(changes="{"),
    "another network's weights": lambda: safe(network="stage4"),
    "an unknown network": lambda: safe(network="../stage2"),
    "torch's format": lambda: saved(whole()),
}  # fmt: skip


def with_header(entries):
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


@pytest.mark.parametrize("kind", HOSTILE_SAFETENSORS)
def test_hostile_safetensors_are_refused(kind, tmp_path):
    path = tmp_path / "stage2.safetensors"
    path.write_bytes(HOSTILE_SAFETENSORS[kind]())
    refused(path)
