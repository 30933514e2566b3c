"""Trainings that end in the middle of an epoch; used by tests of what stays of them."""

from mnist_drill import train


def interrupted_in(monkeypatch, epoch, error=KeyboardInterrupt, *, batch=4, loop=(train, "train_epoch")):
    """Has that error raised in the middle of an epoch, where its batch of that number would be taken; both from 1.

    `loop` is the training loop, by its module and its name there.
    """
    module, name = loop
    train_epoch = getattr(module, name)
    begun = []

    def interrupted(model, batches, optimizer, after_step=()):
        begun.append(1)

        def few_batches():
            for number, taken in enumerate(batches, 1):
                if len(begun) == epoch and number == batch:
                    raise error
                yield taken

        return train_epoch(model, few_batches(), optimizer, after_step)

    monkeypatch.setattr(module, name, interrupted)
