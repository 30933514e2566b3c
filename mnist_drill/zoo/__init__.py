"""torchvision's networks adapted to MNIST, compared with the course's, and ensembles of networks."""
