"""Trainings that end in the middle of an epoch; used by tests of what stays of them."""

from mnist_drill import train


def interrupted_in(monkeypatch, epoch, error=KeyboardInterrupt):
    """Has that error raised in the middle of an epoch, counted from 1: where its fourth batch would be taken."""
    train_epoch = train.train_epoch
    begun = []

    def interrupted(model, batches, optimizer, after_step=()):
        begun.append(1)

        def few_batches():
            for position, batch in enumerate(batches):
                if len(begun) == epoch and position == 3:
                    raise error
                yield batch

        return train_epoch(model, few_batches(), optimizer, after_step)

    monkeypatch.setattr(train, "train_epoch", interrupted)
