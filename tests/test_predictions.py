import pytest
import torch
import torch.nn.functional as F

from mnist_drill.models import build
from mnist_drill.predictions import accuracy, confusion_matrix, most_confident_errors, predictions, score
from mnist_drill.train import evaluate, predict

LABELS = torch.tensor([1, 2, 3, 4, 4])
CLASSES = torch.tensor([1, 5, 3, 4, 2])
PROBABILITIES = torch.tensor([0.9, 0.6, 0.5, 0.99, 0.7])


def logits():
    """Those of the classes with these probabilities; the other classes share the rest."""
    rest = ((1 - PROBABILITIES) / 9).unsqueeze(1).expand(-1, 10)
    return rest.scatter(1, CLASSES.unsqueeze(1), PROBABILITIES.unsqueeze(1)).log() + 3


def test_the_predicted_classes_and_their_probabilities():
    classes, probabilities = predictions(logits())
    assert torch.equal(classes, CLASSES)
    assert probabilities.tolist() == pytest.approx(PROBABILITIES.tolist())


def test_the_score_is_loss_and_accuracy():
    assert accuracy(CLASSES, LABELS) == 60
    found = score(logits(), LABELS)
    assert found.accuracy == 60
    assert found.loss == pytest.approx(-logits().softmax(1)[range(5), LABELS].log().mean().item())
    assert found.loss == F.cross_entropy(logits(), LABELS).item()


def test_the_confusion_matrix_has_labels_in_rows():
    counts = confusion_matrix(logits(), LABELS)
    wanted = torch.zeros(10, 10, dtype=torch.int64)
    for label, predicted in ((1, 1), (2, 5), (3, 3), (4, 4), (4, 2)):
        wanted[label, predicted] += 1
    assert torch.equal(counts, wanted)


def test_the_most_confident_errors_come_first():
    assert most_confident_errors(logits(), LABELS, 9).tolist() == [4, 1]
    assert most_confident_errors(logits(), LABELS, 1).tolist() == [4]
    assert most_confident_errors(logits(), CLASSES, 9).tolist() == []


def test_a_network_has_the_score_that_evaluate_gives(few):
    model = build("stage2", 1)
    assert score(predict(model, few[1]), few[1].labels) == evaluate(model, few[1])
