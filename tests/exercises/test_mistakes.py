"""What people get wrong, planted in the solutions: each check names it in the learner's terms."""

import pytest

from tests.exercises.books import exercises

# Exercise; what is replaced in its solution; by what; a word that the feedback has to have.
PLANTED = [
    ("01 convolution", "(kernels * patch)", "(kernels.flip(2, 3) * patch)", "180°"),
    ("01 convolution", "(kernels * patch)", "(kernels[:, :1] * patch[:1])", "input channel"),
    ("01 convolution", "(kernels * patch).sum(dim=(1, 2, 3))", "(kernels * patch).sum()", "maps are the same"),
    ("01 convolution", "image.shape[1] - k + 1", "image.shape[1] - k", "shape"),
    ("01 convolution", ".sum(dim=(1, 2, 3))", ".mean(dim=(1, 2, 3))", "mean of the products"),
    ("01 receptive_field", "(kernel - 1) * jump", "(kernel - 1)", "max pool 2×2 multiplied the jump by 2"),
    ("01 receptive_field", "(kernel - 1) * jump", "kernel * jump", "k - 1 steps"),
    ("01 receptive_field", "// stride + 1", "// stride", "add 1"),
    ("01 receptive_field", "// stride + 1", "/ stride + 1", "rounded down"),
    (
        "01 receptive_field",
        "(size + 2 * padding - kernel) // stride + 1",
        "round((size + 2 * padding - kernel) / stride + 1)",
        "rounded down",
    ),
    ("01 receptive_field", "2 * padding", "padding", "once on each side"),
    ("01 receptive_field", " + 2 * padding", "", "both sides"),
    ("01 receptive_field", "jump *= stride", "jump += stride", "multiplies"),
    (
        "01 receptive_field",
        "field += (kernel - 1) * jump\n        jump *= stride",
        "jump *= stride\n        field += (kernel - 1) * jump",
        "before the layer",
    ),
    ("01 loop", "model.zero_grad()", "pass", "clear them"),
    ("01 loop", "weight -=", "weight +=", "against the gradient"),
    ("01 loop", "weight -= learning_rate * weight.grad", "weight = weight - weight.grad", "another tensor"),
    ("01 loop", "in batches:", "in batches[:1]:", "first batch"),
    ("01 loop", "learning_rate * weight.grad", "weight.grad", "learning rate is missing"),
    ("01 loop", "loss.backward()", "loss.backward(); model.zero_grad(set_to_none=False)", "all gradients are 0"),
    ("01 loop", "weight -= learning_rate * weight.grad", "pass", "has to change each weight in place"),
    ("01 loop", "(model(images), labels)", "(labels, model(images))", "raises NotImplementedError: "),
    ("01 loop", "learning_rate * weight.grad", "1.0000003 * learning_rate * weight.grad", "rounding"),
    (
        "01 gradients",
        "loss.backward()",
        "loss.backward(); optimizer.zero_grad(set_to_none=False)",
        "no weight has changed",
    ),
    (
        "01 order",
        "torch.randperm(len(dataset))",
        "(torch.arange(len(dataset)) + 2000 * torch.rand(len(dataset))).argsort()",
        "ten classes",
    ),
    ("01 order", "torch.randperm(len(dataset))", "torch.randint(len(dataset), (len(dataset),))", "twice"),
    ("01 order", "order.split(batch_size)", "order[:len(order) // batch_size * batch_size].split(batch_size)", "3,000"),
    ("01 order", "dataset.labels[positions]", "dataset.labels[positions.roll(1)]", "belong together"),
    ("01 order", "order.split(batch_size)", "order[100:].split(batch_size)", "2,910"),
    (
        "01 order",
        "torch.randperm(len(dataset))",
        "torch.randperm(len(dataset), generator=torch.Generator())",
        "each epoch",
    ),
    ("01 gradients", "        optimizer.step() ", "        pass ", "takes no step"),
    ("01 gradients", "        optimizer.step() ", "    optimizer.step() ", "one step, at the end"),
    ("01 order", "order.split(batch_size)", "order.split(len(order))", "3,010 of them"),
    ("01 order", "order.split(batch_size)", "order.split(1)", "1 of them"),
    ("01 order", "order.split(batch_size)", "order", "labels of a batch must be a tensor of shape (N,)"),
    ("01 order", "normalize(dataset.images[positions])", "dataset.images[positions]", "the images are not normalized"),
    ("01 order", "yield images, dataset.labels[positions]", "yield images", "pair of images and labels"),
    (
        "01 order",
        "order.split(batch_size)",
        "(x[torch.randperm(len(x))] for x in order.sort().values.split(batch_size))",
        "not the batches",
    ),
    (
        "01 order",
        "in order.split(batch_size)",
        "in sorted(order.sort().values.split(batch_size), key=lambda x: torch.rand(1).item())",
        "not the batches",
    ),
    ("01 softmax", "nn.Flatten(),                    # 4", "nn.Flatten(), nn.Sigmoid(),", "Sigmoid at the end limits"),
    ("01 softmax", "nn.Flatten(),                    # 4", "nn.Flatten(), nn.ReLU(),", "ReLU at the end limits"),
    ("01 softmax", "nn.Flatten(),                    # 4", "nn.Flatten(), nn.Softmax(dim=1),", "given probabilities"),
    ("01 statistics", "train_images.mean(), train_images.std()", "data.MEAN, data.STD", "that the function is given"),
    ("01 statistics", "train_images.mean(),", "torch.cat([train_images, test_images]).mean(),", "training images"),
    ("02 parameters", "return k * k * c * d", "return k * k * c * d + d", "counts a bias"),
    ("02 parameters", "return k * k * c * d", "return k * c * d", "two directions"),
    ("02 parameters", "return k * k * c * d", "return k * k * (c + d)", "adds the channels"),
    ("02 parameters", "k * k * c + c * d", "k * k * c", "1×1"),
    ("02 parameters", "k * k * c + c * d", "k * k * c * d + c * d", "ordinary convolution in it"),
    ("02 parameters", "k * k * c + c * d", "k * k + c * d", "one for each"),
    ("02 parameters", "k * k * c + c * d", "k * c + c * d", "two directions"),
    ("02 parameters", "k * k * c + c * d", "k * k * c + c * d + c + d", "counts biases"),
    ("02 he_initialization", "(2 / n) ** 0.5", "2 / n", "square root"),
    ("02 he_initialization", "(2 / n) ** 0.5", "(1 / n) ** 0.5", "ReLU"),
    ("02 he_initialization", "weight[0].numel()", "weight[:, 0].numel()", "goes out"),
    ("02 he_initialization", "normal_(0,", "normal_(1,", "mean should be 0"),
    ("02 he_initialization", "(2 / n) ** 0.5", "(2 / (n + layer.weight[:, 0].numel())) ** 0.5", "Xavier"),
    ("02 he_initialization", "weight[0].numel()", "weight.numel()", "all weights of the layer"),
    ("02 he_initialization", "weight[0].numel()", "weight[0, 0].numel()", "from one channel"),
    ("02 he_initialization", "(2 / n) ** 0.5", "2 ** 0.5 / n", "2 divided by n"),
    (
        "02 he_initialization",
        "layer.weight.normal_(0, (2 / n) ** 0.5)",
        "layer.weight[:] = (2 / n) ** 0.5 * torch.randn(layer.weight.shape[1:])",
        "draw one for each weight",
    ),
    ("02 pooling", "AvgPool2d(7, stride=1)", "AvgPool2d(5, stride=1)", "(N, 90)"),
    ("02 pooling", "nn.AvgPool2d(7, stride=1)", "conv_block(12, 12, 7)", "pooling is gone"),
    ("02 pooling", "AvgPool2d(7, stride=1)", "AvgPool2d(5)", "leaves out rows"),
    ("02 pooling", "AvgPool2d(7, stride=1)", "AvgPool2d(7, padding=1, stride=3)", "leaves out rows"),
    ("02 pooling", "AvgPool2d(7, stride=1)", "AvgPool2d(9, padding=1)", "of one average"),
    (
        "02 pooling",
        "nn.AvgPool2d(7, stride=1)",
        "nn.AvgPool2d(5, stride=1), nn.MaxPool2d(3)",
        "of one average",
    ),
    (
        "02 pooling",
        "nn.AvgPool2d(7, stride=1)",
        "nn.AvgPool2d(5, stride=1), nn.AvgPool2d(3)",
        "of one average",
    ),
    ("02 pooling", "# 7", "\n        nn.Softmax(dim=1),", "of one average"),
    ("02 pooling", "nn.AvgPool2d(7, stride=1)", "nn.MaxPool2d(7)", "pooling is gone"),
    ("02 pooling", "nn.Conv2d(12, 10, 1, bias=False)", "nn.Conv2d(12, 10, 1)", "convolutions are others"),
    (
        "02 selection",
        "evaluate(network, validation_set).accuracy",
        "evaluate(network, validation_set).accuracy + evaluate(network, test_set).accuracy",
        "with other test images",
    ),
    ("02 selection", "test_set).accuracy             # 3", "validation_set).accuracy", "accuracy to report"),
    ("02 selection", "max(accuracy", "min(accuracy", "another has more"),
    ("02 selection", "return best,", "return 3,", "name of a candidate"),
    ("03 batch_norm", "0.1 * x.var(dim=(0, 2, 3))", "0.1 * spread", "n - 1"),
    ("03 batch_norm", "x.var(dim=(0, 2, 3), correction=0)", "x.var(dim=(0, 2, 3))", "n in its denominator"),
    ("03 batch_norm", "0.9 * mean + 0.1 * center", "0.1 * mean + 0.9 * center", "old average 0.9"),
    ("03 batch_norm", " + 1e-5).sqrt()", ").sqrt()", "ε is missing"),
    ("03 batch_norm", "(spread.view(shape) + 1e-5).sqrt()", "(spread.view(shape).sqrt() + 1e-5)", "under the root"),
    ("03 batch_norm", "(spread.view(shape) + 1e-5).sqrt()", "(spread.view(shape) + 1e-5)", "not by the variance"),
    ("03 batch_norm", "(spread.view(shape) + 1e-5).sqrt()", "spread.view(shape)", "not by the variance"),
    ("03 batch_norm", "if training:", "if True:", "running mean"),
    ("03 batch_norm", "+ beta.view(shape)", "", "β is missing"),
    (
        "03 batch_norm",
        "(x - center.view(shape)) / (spread.view(shape) + 1e-5).sqrt()",
        "(x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt()",
        "for each image",
    ),
    (
        "03 batch_norm",
        "(x - center.view(shape)) / (spread.view(shape) + 1e-5).sqrt()",
        "(x - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()",
        "not by the running averages",
    ),
    ("03 batch_norm", "if training:", "if False:", "own statistics"),
    ("03 batch_norm", "gamma.view(shape) * normalized + beta.view(shape)", "normalized", "γ and β"),
    ("03 dropout", "x.shape[1], 1, 1)", "x.shape[1], *x.shape[2:])", "single pixels"),
    ("03 dropout", "torch.rand(x.shape[0],", "torch.rand(1,", "every image"),
    ("03 dropout", "x.shape[1], 1, 1)", "1, 1, 1)", "each channel"),
    ("03 dropout", "if not training:", "if True:", "drops no channel"),
    ("03 dropout", " / (1 - p)", "", "1 / (1 - p)"),
    ("03 dropout", ">= p", "< p", "not to keep"),
    ("03 dropout", "if not training:", "if False:", "evaluation mode"),
    ("03 folding", "beta - mean * scale", "beta - mean", "scaled, too"),
    ("03 folding", "beta - mean * scale", "(beta - mean) * scale", "after the scaling"),
    ("03 folding", "beta - mean * scale", "mean * scale - beta", "other way round"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma", "not divided"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma * (var + 1e-5).sqrt()", "multiplies by it"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma / var", "standard deviation"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma / (var + 1e-5)", "standard deviation"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma / var.sqrt()", "ε is missing"),
    ("03 folding", "gamma / (var + 1e-5).sqrt()", "gamma / (var.sqrt() + 1e-5)", "under the root"),
    ("03 evaluation", "model.eval()", "model.train()", "neighbors"),
    (
        "03 evaluation",
        "model.eval()",
        "model.eval(), model[0][3].train()",
        "dropout is still active",
    ),
    ("03 evaluation", "with torch.no_grad():", "if True:", "`no_grad` is gone"),
    ("03 modes", "            optimizer.step() ", "            pass ", "takes none"),
    ("03 modes", "            optimizer.step() ", "        optimizer.step() ", "belongs to each batch"),
    ("03 modes", "loss.backward()", "pass", "no weight has changed"),
    ("03 modes", "optimizer.zero_grad()", "pass", "earlier steps"),
    ("03 modes", "model.train()", "model.train(_ == 0)", "epoch 2"),
    ("03 modes", "evaluate(model, test_set)", "pass", "evaluated"),
    ("03 modes", "        evaluate(model, test_set)", "    evaluate(model, test_set)", "after each epoch"),
    ("04 rotation", "math.radians(degrees)", "degrees", "radians"),
    ("04 rotation", "[cos * x + sin * y, cos * y - sin * x]", "[cos * x - sin * y, cos * y + sin * x]", "inverse"),
    ("04 rotation", "[cos * x + sin * y, cos * y - sin * x]", "[cos * y - sin * x, cos * x + sin * y]", "comes first"),
    ("04 rotation", "(2 * torch.arange(side) + 1) / side - 1", "torch.linspace(-1, 1, side)", "edges"),
    (
        "04 rotation",
        "(2 * torch.arange(side) + 1) / side - 1",
        "2 * torch.arange(side) / side - 1",
        "half a pixel",
    ),
    ("04 rotation", "(2 * torch.arange(side) + 1) / side - 1", "(torch.arange(side) + 0.5) / side", "from 0 to 1"),
    ("04 rotation", "[cos * x + sin * y, cos * y - sin * x]", "[x, y]", "not rotated"),
    ("04 schedule", "initial + (1 - initial) * progress / warmup", "progress / warmup", "`initial`"),
    ("04 schedule", "initial + (1 - initial) * progress / warmup", "initial + progress / warmup", "1 - `initial`"),
    ("04 schedule", "(1 + math.cos(math.pi * t)) / 2", "(1 + math.cos(math.pi * t))", "twice that"),
    ("04 schedule", "math.pi * t", "t", "π times t"),
    ("04 schedule", "final + (1 - final)", "(1 - final)", "ends at `final`"),
    (
        "04 schedule",
        "final + (1 - final) * (1 + math.cos(math.pi * t)) / 2",
        "(1 + math.cos(math.pi * t)) / 2",
        "`final`",
    ),
    ("04 schedule", "1 + math.cos", "1 - math.cos", "upside down"),
    ("04 schedule", "(progress - warmup) / (annealed - warmup)", "progress / annealed", "end of the warmup"),
    ("04 schedule", "peak * (initial", "(initial", "share of the peak"),
    (
        "04 ema",
        "mul_(decay).add_(weight, alpha=1 - decay)",
        "mul_(1 - decay).add_(weight, alpha=decay)",
        "share of the old",
    ),
    ("04 ema", "mul_(decay).add_(weight, alpha=1 - decay)", "copy_(weight)", "last step"),
    (
        "04 ema",
        "average.mul_(decay).add_(weight, alpha=1 - decay)",
        "average = decay * average + weight",
        "another tensor",
    ),
    ("04 ema", "weight, alpha=1 - decay", "weight", "`1 - decay` is missing"),
    ("04 ema", "average.mul_(decay).add_", "average.add_", "only added"),
    ("04 ema", "average.mul_(decay)", "weight.mul_(0.5); average.mul_(decay)", "averaged weights alone"),
    ("04 scheduler_step", "            scheduler.step()", "        scheduler.step()", "peak should be 1.4"),
    (
        "04 scheduler_step",
        "            optimizer.step() ",
        "            scheduler.step(); optimizer.step() ",
        "learning rate",
    ),
    ("04 scheduler_step", "loss.backward()", "pass", "no weight has changed"),
    ("04 scheduler_step", "optimizer.zero_grad()", "pass", "earlier steps"),
    ("04 background", "images = normalize(images) ", "pass ", "no longer normalized"),
    ("04 background", "images = augment(images, RANGES) ", "pass ", "no longer augmented"),
    ("04 evaluation", "dataset.images  ", "augment(dataset.images, RANGES)  ", "random"),
    ("04 evaluation", "normalize(images)", "images", "should be"),
    ("04 evaluation", "model.eval() ", "pass ", "training mode"),
]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")
@pytest.mark.parametrize(("key", "right", "wrong", "named"), PLANTED, ids=[f"{x[0]}: {x[3]}" for x in PLANTED])
def test_a_planted_mistake_is_named(mnist, key, right, wrong, named):
    exercise = exercises()[key]
    assert right in exercise.solved
    line = str(exercise.feedback(exercise.solved.replace(right, wrong)))
    assert not line.startswith("✓")
    assert named in line


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ("nn.Sequential(conv_block(1, 32), conv_block(32, 32), nn.AvgPool2d(24), nn.Conv2d(32, 10, 1), nn.Flatten())",
         "9,216 of them in layer 1.0"),
        ("nn.Sequential(conv_block(1, 8, pool=True), conv_block(8, 16, pool=True), nn.Conv2d(16, 10, 5), nn.Flatten())",
         "fewer than 3,500 parameters"),  # exercise 4 of notebook 1
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 9))", "(N, 10)"),
        ("nn.Linear(784, 10)", "raises RuntimeError"),
        ("'a network'", "must return a network"),
    ],
)  # fmt: skip
def test_a_design_that_cannot_be_judged_is_told_why_before_it_is_trained(mnist, network, named):
    exercise = exercises()["02 design"]
    line = str(exercise.feedback(f"def network():\n    return {network}"))
    assert line.startswith("✗") and named in line


@pytest.mark.slow
@pytest.mark.parametrize(
    "network",
    [
        "nn.Sequential(conv_block(1, 4), nn.AvgPool2d(26), nn.Conv2d(4, 10, 1), nn.Flatten())",
        "nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(196, 10))",
    ],
)
def test_a_design_that_is_not_accurate_enough_is_told_its_accuracy(mnist, network):
    exercise = exercises()["02 design"]
    line = str(exercise.feedback(f"def network():\n    return {network}"))
    assert line.startswith("✗ it should reach 90 %")
