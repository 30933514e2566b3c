import torch

from mnist_drill.zoo.ensemble import majority_vote


def logits(*rows):
    """For each image its probabilities of the classes 0 to 2, as logits of ten classes."""
    padded = torch.full((len(rows), 10), 1e-6)
    padded[:, :3] = torch.tensor(rows)
    return padded.log()


def test_the_majority_wins_however_sure_the_others_are():
    members = [logits([0.4, 0.3, 0.3]), logits([0.4, 0.3, 0.3]), logits([0.0, 0.99, 0.01])]
    assert majority_vote(members).tolist() == [0]


def test_a_tie_goes_to_the_highest_mean_probability():
    members = [logits([0.6, 0.3, 0.1], [0.9, 0.1, 0.0]), logits([0.1, 0.9, 0.0], [0.4, 0.6, 0.0])]
    assert majority_vote(members).tolist() == [1, 0]


def test_one_member_decides_alone():
    assert majority_vote([logits([0.1, 0.2, 0.7], [0.8, 0.1, 0.1])]).tolist() == [2, 0]
