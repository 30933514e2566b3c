"""What surrounds the training loop: batches, hooks, mixed precision, and the weights that an early end leaves."""
