"""What is read from files, given anything at all: an error of the one declared kind, or a value that can be used."""

import copy
import json
import math
import struct
import tracemalloc
from types import SimpleNamespace

import click
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mnist_drill.cli.config import read_config
from mnist_drill.cli.training import train_command
from mnist_drill.course.tables import Result
from mnist_drill.errors import DrillError
from mnist_drill.inputs import competition
from mnist_drill.recipes import PLAIN
from mnist_drill.runs import Epoch, Run, Score
from mnist_drill.storage.mnist import idx, tensor_of_idx

fuzz = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
RUN = Run(
    name="stage2", parameters=9712, seed=1, recipe=PLAIN, network="a digest", data="another digest",
    environment={"hardware": "a CPU", "precision": "float32", "threads": 2, "torch": "2.0"},
    epochs=(Epoch(1, 0.5, 90.0, 0.25, 95.0, 3.0),),
    train_score=Score(0.25, 96.0),
).to_dict()  # fmt: skip


@fuzz
@given(st.binary(max_size=60))
def test_idx_of_any_bytes(content):
    with pytest.raises(ValueError) if not sound(content) else contextless():
        tensor_of_idx(content)


@fuzz
@given(st.integers(0, 255), st.lists(st.integers(0, 2**32 - 1), max_size=70), st.binary(max_size=64))
def test_idx_with_a_header_that_lies(dimensions, shape, values):
    content = b"\0\0\x08" + bytes([dimensions]) + struct.pack(f">{len(shape)}I", *shape) + values
    tracemalloc.start()
    try:
        tensor = tensor_of_idx(content)
        assert tensor.numel() <= len(content)
    except ValueError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 1_000_000


@given(st.lists(st.integers(0, 4), max_size=4))
def test_idx_that_is_sound(shape):
    values = torch.arange(math.prod(shape), dtype=torch.uint8).view(shape)
    assert torch.equal(tensor_of_idx(idx(values.numpy())), values)


def sound(content):
    try:
        dimensions = content[3]
        shape = struct.unpack(f">{dimensions}I", content[4 : 4 + 4 * dimensions])
        return content[:3] == b"\0\0\x08" and math.prod(shape) == len(content) - 4 - 4 * dimensions
    except (IndexError, struct.error):
        return False


class contextless:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def usable(path):
    """Whether the file holds a run, which then can be shown and written."""
    try:
        run = Run.load(path)
    except DrillError as error:
        assert path.name in str(error)
        return False
    assert repr(Result(run))
    assert Run.from_dict(json.loads(json.dumps(run.to_dict()))).to_dict().keys() == run.to_dict().keys()
    return True


@fuzz
@given(content=st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_a_run_of_anything(tmp_path, content):
    path = tmp_path / "run.json"
    path.write_bytes(content)
    assert not usable(path)


def places(value, path=()):
    """Where in nested values something could be put in place of what is there."""
    yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


PLACES = [path for path in places(json.loads(json.dumps(RUN))) if path]


@fuzz
@given(place=st.sampled_from(PLACES), value=JSON)
def test_a_run_with_anything_in_one_place(tmp_path, place, value):
    changed = json.loads(json.dumps(copy.deepcopy(RUN)))
    *outer, last = place
    inner = changed
    for key in outer:
        inner = inner[key]
    inner[last] = value
    path = tmp_path / "run.json"
    path.write_text(json.dumps(changed))
    usable(path)


def test_the_run_itself_and_nests_without_end(tmp_path):
    path = tmp_path / "run.json"
    path.write_text(json.dumps(RUN))
    assert usable(path)
    path.write_text("[" * 200_000)
    assert not usable(path)


def configured(path):
    context = click.Context(train_command)
    try:
        read_config(context, SimpleNamespace(name="config"), path)
    except DrillError as error:
        assert path.name in str(error)
        return None
    return context.default_map


@fuzz
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_a_configuration_of_anything(tmp_path, content):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    configured(path)


@fuzz
@given(
    key=st.sampled_from(["epochs", "batch-size", "learning_rate", "optimizer", "freeze", "seed", "out", "track"]),
    value=st.integers() | st.floats() | st.booleans() | st.text(max_size=8) | st.lists(st.integers(), max_size=2),
)
@example(key="out", value="\0")
def test_a_configuration_with_any_value(tmp_path, key, value):
    path = tmp_path / "run.toml"
    path.write_text(f"{key} = {json.dumps(value)}\n".replace("NaN", "nan").replace("Infinity", "inf"))
    options = configured(path)
    if options:
        (accepted,) = options.values()
        assert key in ("out",) or not isinstance(value, list)
        assert key not in ("epochs", "batch-size", "seed") or (type(accepted) is int and accepted >= 0)


def test_a_configuration_that_nests_without_end(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("epochs = " + "[" * 100_000)
    assert configured(path) is None


@fuzz
@given(content=st.binary(max_size=80) | st.text(alphabet="0123456789,\n\r\"' x", max_size=80).map(str.encode))
def test_a_competition_table_of_anything(tmp_path, content):
    for start in (b"", (",".join(competition.PIXELS) + "\n").encode()):
        path = tmp_path / "test.csv"
        path.write_bytes(start + content)
        try:
            assert competition.read_test(path).shape[1:] == (1, 28, 28)
        except DrillError as error:
            assert path.name in str(error)
