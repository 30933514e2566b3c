import pytest
import torch

from mnist_drill import data
from mnist_drill.models import build
from mnist_drill.runs import Run
from mnist_drill.zoo import transfer
from mnist_drill.zoo.transfer import ALL_DIGITS, ALL_LAYERS, LAST_LAYER, LOWER, NOTHING, ROTATIONS, ROWS, UPPER, Row
from tests.course.runs import ending


@pytest.fixture
def small(few, monkeypatch):
    """A small network, and epochs of 500 images."""
    monkeypatch.setattr(transfer, "NETWORK", "shufflenet_v2_x0_5")
    monkeypatch.setattr(transfer, "IMAGES", 500)
    monkeypatch.setattr(data, "load", lambda: few)


def test_a_rotated_image_is_turned_back_by_as_many_quarters(few):
    images, _ = few
    turned = transfer.rotations(images, seed=3)
    back = [image.rot90(-int(number), (1, 2)) for image, number in zip(turned.images, turned.labels, strict=True)]
    assert torch.equal(torch.stack(back), images.images)
    assert turned.labels.bincount(minlength=4).min() > 90
    assert not torch.equal(turned.labels, transfer.rotations(images, seed=4).labels)


def test_few_labels_are_as_many_of_each_class_and_others_with_another_seed(mnist, monkeypatch):
    train_set, _ = mnist
    monkeypatch.setattr(transfer, "IMAGES", 950)
    ten = transfer.labelled(train_set, 10, seed=1)
    assert ten.labels.bincount().tolist() == [100] * 10
    assert torch.equal(ten.images[:100], ten.images[100:200])
    assert len(ten.images.flatten(1).unique(dim=0)) == 100
    other = transfer.labelled(train_set, 10, seed=2)
    assert len(torch.cat([ten.images, other.images]).flatten(1).unique(dim=0)) > 190
    assert transfer.labelled(train_set, None, seed=1) is train_set
    upper = transfer.TASKS[UPPER](train_set)
    assert transfer.labelled(upper, 100, seed=1).labels.unique().tolist() == [5, 6, 7, 8, 9]


def test_rows_are_every_number_of_labels_for_either_part_with_and_without_what_came_before():
    assert len(ROWS) == 2 * 2 * 2 * len(transfer.PER_CLASS)
    assert {(row.task, row.before) for row in ROWS.values()} == {
        (ALL_DIGITS, NOTHING), (ALL_DIGITS, ROTATIONS), (UPPER, NOTHING), (UPPER, LOWER)
    }  # fmt: skip


@pytest.mark.parametrize("part", [LAST_LAYER, ALL_LAYERS])
def test_what_is_trained_begins_with_the_pretrained_weights_and_a_new_last_layer(small, tmp_path, monkeypatch, part):
    begun = {}

    def fit(network, *arguments, **options):
        begun[options["name"]] = {key: value.clone() for key, value in network.state_dict().items()}
        return real(network, *arguments, **options)

    real = transfer.fit
    monkeypatch.setattr(transfer, "fit", fit)
    row = Row(UPPER, LOWER, part, 10)
    kept = []
    transfer.transfer(tmp_path, [row], [7], device="cpu", progress=False, say=lambda line: None, keep=kept.append)
    pretrained = torch.load(tmp_path / f"{LOWER}, seed 7" / "shufflenet_v2_x0_5.pt", weights_only=True)["weights"]
    fresh = build(transfer.NETWORK, 7)
    for key, value in begun[row.name].items():
        last = key.startswith(f"network.{fresh.last}.")
        assert torch.equal(value, (fresh.state_dict() if last else pretrained)[key])
    (run,) = kept
    assert (run.name, run.seed, run.changes) == (row.name, 7, {"freeze": part == LAST_LAYER})


def test_the_last_layer_alone_moves_where_it_alone_is_trained(small, tmp_path, monkeypatch):
    ended = {}

    def fit(network, *arguments, **options):
        run = real(network, *arguments, **options)
        ended[options["name"]] = network.state_dict()
        return run

    real = transfer.fit
    monkeypatch.setattr(transfer, "fit", fit)
    rows = [Row(ALL_DIGITS, NOTHING, part, 10) for part in (LAST_LAYER, ALL_LAYERS)]
    transfer.transfer(tmp_path, rows, [1], device="cpu", progress=False, say=lambda line: None)
    fresh = build(transfer.NETWORK, 1)
    moved = [{key for key, value in fresh.state_dict().items() if not torch.equal(value, ended[row.name][key])}
             for row in rows]  # fmt: skip
    assert moved[0] == {f"network.{fresh.last}.weight", f"network.{fresh.last}.bias"}
    assert {name for name, _ in fresh.named_parameters()} <= moved[1]


def test_what_is_finished_is_not_trained_again(small, tmp_path, monkeypatch):
    rows = [Row(ALL_DIGITS, ROTATIONS, ALL_LAYERS, n) for n in (1, 2)]
    said = []
    options = {"device": "cpu", "progress": False, "say": said.append}
    transfer.transfer(tmp_path, rows[:1], [1], **options)
    first = Run.load(tmp_path / f"{rows[0].name}, seed 1.json")
    kept = []
    transfer.transfer(tmp_path, rows, [1], **options, keep=kept.append)
    assert kept[0] == first
    assert [line for line in said if line.startswith(ALL_DIGITS)] == [f"{row.name}, seed 1" for row in rows]


def test_the_table_has_a_column_for_each_number_of_labels():
    first, *others = transfer.table({next(iter(ROWS)): ending(10.0, 11.0, 12.0)}).rows
    assert first == [ALL_DIGITS, NOTHING, LAST_LAYER, "11.00 ± 1.00", "–", "–", "–"]
    assert len(others) == 7
    assert {cell for row in others for cell in row[3:]} == {"–"}
