"""Files: written whole, read with care. Archives, checkpoints, interrupted trainings, and where MNIST comes from."""
