"""It has no network."""

EPOCHS = 15
