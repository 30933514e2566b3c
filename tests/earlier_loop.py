"""The training loop as it was before it was composed of parts: a plain reference for the weights that a seed gives.

One function that does everything in place, by torch alone. The stored evidence was trained by it, so the loop of the
package must give the same weights, bit for bit.
"""

import math
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from mnist_drill.augment import augment

MEAN, STD = 0.1307, 0.3081


def earlier_fit(model, recipe, images, labels, seed):
    """Trains `model` in place by the recipe, on the CPU; returns the mean training loss of each epoch."""
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
    scheduler = LambdaLR(optimizer, lambda step: recipe.learning_rate_at(step / steps))
    averaged, result = None, model
    if recipe.ema_decay:
        averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay**8))
        result = averaged.module

    losses = []
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        shrink = recipe.augmentation_annealing * (epoch - 1) / max(1, recipe.epochs - 1)
        augmentation = recipe.augmentation.shrunk(shrink)
        bfloat16 = recipe.mixed_precision and torch.cpu._is_avx512_bf16_supported()
        precision = torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext()
        loss_sum = torch.zeros(())
        for step, positions in enumerate(torch.randperm(len(labels)).split(recipe.batch_size)):
            batch = augment(images[positions], augmentation)
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
        losses.append(loss_sum.item() / len(labels))
        if averaged is not None:
            update_bn(((part - MEAN) / STD for part in images[:5_000].split(200)), averaged)
        result.eval()
        with torch.inference_mode():
            result((images[:200] - MEAN) / STD)  # the test of an epoch: nothing that is random
    model.load_state_dict(result.state_dict())
    return losses
