"""The training loop as it was before it was composed of parts: a plain reference for the weights that a seed gives.

One function that does everything in place, by torch alone. The older evidence was trained by it, so the loop of the
package must give the same weights, bit for bit.
"""

import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

MEAN, STD = 0.1307, 0.3081


def earlier_learning_rate(recipe, progress):
    """A constant learning rate, or linear warmup, cosine annealing and a constant end."""
    schedule = recipe.schedule
    if schedule is None:
        return recipe.learning_rate * 1.0
    if progress < schedule.warmup:
        return recipe.learning_rate * (schedule.initial + (1 - schedule.initial) * progress / schedule.warmup)
    if progress < schedule.annealed:
        descent = (progress - schedule.warmup) / (schedule.annealed - schedule.warmup)
        return recipe.learning_rate * (schedule.final + (1 - schedule.final) * (1 + math.cos(math.pi * descent)) / 2)
    return recipe.learning_rate * schedule.final


def earlier_augment(images, augmentation, share):
    """Each image rotated, moved, scaled and sheared, with ranges that are smaller by `share`."""
    ranges = {name: value * (1 - share) for name, value in vars(augmentation).items()}
    n, side = len(images), images.shape[-1]
    if not any(ranges.values()):
        return images
    assert not ranges["cutout"], "no recipe of the course has it"

    def draw(limit, *shape):
        return torch.empty(n, *shape).uniform_(-limit, limit)

    angle, translate, scale = draw(ranges["rotation"]), draw(ranges["translation"], 2), 1 + draw(ranges["scale"])
    shear = draw(ranges["shear"])
    angle, shear = angle * (math.pi / 180), shear * (math.pi / 180)
    cos, sin, tan = angle.cos(), angle.sin(), shear.tan()
    inverse = torch.stack([cos - sin * tan, sin + cos * tan, -sin, cos], dim=1).view(-1, 2, 2) / scale.view(-1, 1, 1)
    offset = -(inverse * translate.unsqueeze(1)).sum(dim=2, keepdim=True)
    along = torch.arange(side) - (side - 1) / 2
    pixels = torch.stack([along.repeat(side), along.repeat_interleave(side), torch.ones(side * side)])
    grid = (torch.cat([inverse, offset], dim=2).view(-1, 3) * (2 / side) @ pixels).view(-1, 2, side, side)
    return F.grid_sample(images, grid.permute(0, 2, 3, 1), padding_mode="zeros", align_corners=False)


def earlier_fit(model, recipe, images, labels, seed):
    """Trains `model` in place by the recipe, on the CPU; returns the running loss and accuracy of each epoch."""
    torch.manual_seed(seed)
    model.to(memory_format=torch.channels_last)
    steps_per_epoch = math.ceil(len(labels) / recipe.batch_size)
    steps = recipe.epochs * steps_per_epoch
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=recipe.momentum, nesterov=True, fused=True)
    else:
        optimizer = torch.optim.AdamW(groups, lr=1.0, fused=True)
    scheduler = LambdaLR(optimizer, lambda step: earlier_learning_rate(recipe, step / steps))
    averaged, result = None, model
    if recipe.ema_decay:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay**8))
        result = averaged.module

    scores = []
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        shrink = recipe.augmentation_annealing * (epoch - 1) / max(1, recipe.epochs - 1)
        bfloat16 = recipe.mixed_precision and torch.cpu._is_avx512_bf16_supported()
        precision = torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()
        loss_sum = correct = torch.zeros(())
        for step, positions in enumerate(torch.randperm(len(labels)).split(recipe.batch_size)):
            batch = earlier_augment(images[positions], recipe.augmentation, shrink)
            with precision:
                logits = model((batch - MEAN) / STD)
            loss = F.cross_entropy(logits.float(), labels[positions])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            if averaged is not None and step % 8 == 0:
                averaged.update_parameters(model)
            loss_sum = loss_sum + loss.detach() * len(positions)
            correct = correct + (logits.argmax(dim=1) == labels[positions]).sum()
        scores.append((loss_sum.item() / len(labels), 100 * correct.item() / len(labels)))
        if averaged is not None:
            update_bn(((part - MEAN) / STD for part in images[:5_000].split(200)), averaged)
        result.eval()
        with torch.inference_mode():
            result((images[:200] - MEAN) / STD)  # the test of an epoch: nothing that is random
    model.load_state_dict(result.state_dict())
    return scores
