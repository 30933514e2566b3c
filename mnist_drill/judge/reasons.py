"""Why each rule is there, and what to look at next where it was not kept."""

WHY = {
    "loads": "A network is judged as its file builds it.",
    "shape": "It takes any number of images, (N, 1, 28, 28), and gives logits, (N, 10); log-probabilities are some.",
    "untouched": "Functions of torch and of the judge that a file replaces could say anything.",
    "operations": "The judge carries out the recorded operations itself: what is judged is what it has counted.",
    "repeatable": "In evaluation mode nothing is random, and an answer does not depend on what was asked before.",
    "alone": "The answer to an image is that image's own: alone, in any batch, and at any place in it.",
    "parameters": "Everything that an answer depends on counts once: frozen, shared, in a buffer or in a constant.",
    "initialization": "Weights come from the random seed and from nowhere else, so that every seed is a new try.",
    "parts": "The rules ask for some parts, or forbid them; they are found however they are written.",
    "step": "Weights change by the optimizer's steps and by nothing else.",
    "recipe": "The number of epochs is part of the drill.",
    "accuracy": "Consistent is what holds in each of the last epochs at every seed; no epoch is picked.",
    "shifted": "A test image moved by one pixel is the same digit: who knows it only where it was has remembered it.",
    "trained": "The network that is trained is the one that was examined.",
}

# What to look at next; of rules that are judged before training and after each epoch.
NEXT = {
    "repeatable": "Keep nothing between two calls: no counter, no cache, no global, no buffer that `forward` changes.",
    "alone": "Look for an operation over dimension 0, a sort or a mean over the batch, or a memory of earlier images.",
    "parameters": "The table of layers shows where they are: the product of channels in and out is the most of it.",
    "trained": "Make `forward` the same at every call, before training and after it.",
}
