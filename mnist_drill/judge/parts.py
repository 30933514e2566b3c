"""What a network is made of, as the operations show that it carried out."""

from __future__ import annotations

import bisect
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from mnist_drill.judge.program import BATCH, IMAGES, numbers_of
from mnist_drill.judge.rules import BATCH_NORM, DROPOUT, FULLY_CONNECTED, GLOBAL_POOL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mnist_drill.judge.program import Program

LAST_LAYER = "last linear map"
PRODUCTS = ("addmm", "mm", "bmm", "baddbmm", "linear", "matmul")
LINEAR = (*PRODUCTS, "convolution")
SHARES = re.compile(r"(_|_safe_)?softmax|exp_?")  # what makes shares of 1 of attention's scores
MEANS = ("mean", "avg_pool2d", "_adaptive_avg_pool2d", "adaptive_avg_pool2d", "avg_pool1d", "_adaptive_avg_pool1d")


def base(name: str) -> str:
    """`aten.relu_.default` → `relu_`."""
    return name.split(".")[1] if name.count(".") > 1 else name


def parts_of(program: Program, calls: list[dict], training: list[str]) -> dict[str, str]:
    """The parts by name, each with where it was found.

    `calls` are those of the program with their shapes, `training` the operations in training mode.
    """
    found = {}
    norms = [call for call in calls if is_batch_norm(call)]
    if norms:
        found[BATCH_NORM] = f"{len(norms)} time{'s' * (len(norms) > 1)}"
    masks = [name for name in training if re.fullmatch(r"(native_dropout|bernoulli_?|.*dropout_?)", base(name))]
    if masks:
        found[DROPOUT] = "in training mode"
    pools = [call for call in calls if is_global_average(call)]
    if pools:
        side = "×".join(map(str, pools[-1]["given"][0][2:]))
        found[GLOBAL_POOL] = f"over {side} positions"
    maps = linear_maps(program)
    linear = [call for place, call in enumerate(calls) if place in maps]
    full = [call for call in linear if base(call["name"]) in PRODUCTS]
    if full:
        found[FULLY_CONNECTED] = _mapped(full[-1])
    if linear:
        found[LAST_LAYER] = _mapped(linear[-1])
    return found


def linear_maps(program: Program) -> set[int]:
    """The places of the calls that map what comes from the images by weights: products and convolutions of the two.

    Attention's products are none: not that with the values, and not that which makes the scores, though its queries may
    be weights. Scores become the shares by which something else that comes from the images is added up.
    """
    from_images, makers = {IMAGES}, defaultdict(list)
    maps, of_two = set(), set()
    for place, (name, args, kwargs, outputs) in enumerate(program.calls):
        if not from_images.isdisjoint(numbers_of([args, kwargs])):
            from_images.update(outputs)
        if base(name) in LINEAR:
            factors = args[1:3] if base(name) in ("addmm", "baddbmm") else args[:2]
            depend = [not from_images.isdisjoint(numbers_of(factor)) for factor in factors]
            if any(depend):
                (of_two if all(depend) else maps).add(place)
        for number in outputs:
            makers[number].append(place)

    def before(places: set[int], wanted: Callable[[str], object]) -> set[int]:
        """The nearest calls, of those wanted, from which those at these places are given something, by no product."""
        found, seen, left = set(), set(places), list(places)
        while left:
            place = left.pop()
            for number in numbers_of(program.calls[place][1:3]):
                made = bisect.bisect_left(makers[number], place)  # what works in place has made its own argument, too
                source = makers[number][made - 1] if made else None
                if source is None or source in seen:
                    continue
                seen.add(source)
                name = base(program.calls[source][0])
                if wanted(name):
                    found.add(source)
                elif name not in LINEAR:
                    left.append(source)
        return found

    return maps - before(before(of_two, SHARES.fullmatch), LINEAR.__contains__)


def is_batch_norm(call: dict) -> bool:
    """Whether it normalizes each channel over the batch: instance norm makes a channel of each image first."""
    shape = call["given"][0] if call["given"] else None
    return "batch_norm" in call["name"] and bool(shape) and shape[0] == BATCH


def is_global_average(call: dict) -> bool:
    """Whether it takes the mean over all positions that are left, more than one, of each channel."""
    if base(call["name"]) not in MEANS or not call["given"] or not call["given"][0]:
        return False
    before, after = call["given"][0], call["made"][0]
    positions = math.prod(before[2:])
    if len(before) < 3 or before[0] != BATCH or after[:2] != before[:2]:
        return False
    return positions > 1 and math.prod(after) == math.prod(before[:2])


def _mapped(call: dict) -> str:
    """A linear map in words."""
    made = call["made"][0]
    if base(call["name"]) == "convolution":
        weight = call["given"][1]
        return f"convolution {'×'.join(map(str, weight[2:]))}, {weight[1]} → {weight[0]} channels"
    shapes = [shape for shape in call["given"] if shape and len(shape) > 1]
    return f"fully connected, {shapes[-1][-2]} → {made[-1]}" if shapes else "fully connected"
