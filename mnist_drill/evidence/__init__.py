"""Evidence: the course's own studies over many seeds, how they are trained, and their stored runs."""
