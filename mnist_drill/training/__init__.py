"""What surrounds the training loop: batches, hooks, mixed precision, and the weights that an early end leaves."""

LARGEST_SEED = 2**63 - 1  # that torch's generators take on every device
