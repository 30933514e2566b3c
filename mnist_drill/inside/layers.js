// The layers' maps, the unit that one points at, and the lens that shows what it sees and how it is computed.
import { fieldOf } from "./network.js";
import { drawGiven, drawMaps, layoutOf, outline, unitAt } from "./pictures.js";
import { element, write } from "./elements.js";

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** What a step is, in words. */
export function titleOf(step) {
  const { operation, kernel, norm, relu } = step;
  return `${operation} ${kernel}×${kernel}${norm ? " + batch norm" : ""}${relu ? " + ReLU" : ""}`;
}

/**
 * Puts the layers into `place` and the lens into `lens`. `picked(words)` is called when another unit is pointed at.
 * Returns `build(network)`, `arrange()` for another width, and `draw(image, palette)`.
 */
export function makeLayers(place, lens, { picked }) {
  let network = [], rows = [], unit = null, pinned = false, palette = null, changed = true;

  const title = element("h3", {});
  const value = element("p", { class: "value" });
  const picture = element("canvas", { role: "img" });
  const sees = element("p", {}), pin = element("p", {}, "Pinned: click it again, or press Escape, to let go.");
  const kernelTitle = element("p", {});
  const kernel = element("canvas", { role: "img" });
  lens.append(
    element("div", { class: "lens-picture" }, picture),
    element("div", { class: "lens-words" }, title, value, sees, pin),
    element("div", { class: "lens-kernel" }, kernelTitle, kernel),
  );

  function build(fresh) {
    network = fresh;
    place.replaceChildren();
    rows = network.map((step, index) => {
      const size = step.size_out === 1 ? `${step.channels_out} values`
        : `${step.channels_out} maps of ${step.size_out}×${step.size_out}`;
      const maps = element("canvas", {
        tabindex: 0, role: "application", "aria-roledescription": "feature maps",
        "aria-label": `Layer ${index + 1}, ${titleOf(step)}: ${size}. Arrow keys move from unit to unit, Page Up and `
          + "Page Down from channel to channel.",
      });
      const over = element("canvas", { class: "over", "aria-hidden": "true" });
      const last = index === network.length - 1 ? ": the logits of the digits 0 to 9" : "";
      const row = element("section", { class: "layer" },
        element("h3", {}, element("span", { class: "number" }, `${index + 1}`), ` ${titleOf(step)}`),
        element("p", {}, `${size}${last}. Each unit sees ${step.field}×${step.field} pixels. `
          + (step.parameters ? `${step.parameters.toLocaleString("en")} parameters.` : "No parameters.")),
        element("div", { class: "maps" }, maps, over));
      place.append(row);
      const find = (event) => {
        const box = maps.getBoundingClientRect();
        return { step: index, ...unitAt(maps.layout, event.clientX - box.left, event.clientY - box.top) };
      };
      maps.addEventListener("pointermove", (event) => {
        if (!pinned && event.pointerType !== "touch") pick(find(event));
      });
      maps.addEventListener("pointerdown", (event) => {
        if (event.pointerType === "touch") pick(find(event));
      });
      maps.addEventListener("click", (event) => {
        const found = find(event), same = pinned && JSON.stringify(found) === JSON.stringify(unit);
        pinned = !same;
        pick(found);
      });
      maps.addEventListener("focus", () => {
        if (maps.matches(":focus-visible") && unit?.step !== index) pick({ step: index, channel: 0, ...middle(step) });
      });
      maps.addEventListener("keydown", (event) => move(event, index));
      return { maps, over, step };
    });
    arrange();
    const start = network.findIndex((step) => step.operation.endsWith("max pool")) + 1;
    if (!unit || !inside(unit)) {
      const step = Math.min(start || 0, network.length - 1);
      unit = { step, channel: 0, ...middle(network[step]) };
    }
  }

  const middle = (step) => ({ row: step.size_out >> 1, column: step.size_out >> 1 });
  const inside = ({ step, channel, row, column }) => {
    const { channels_out = 0, size_out = 0 } = network[step] ?? {};
    return channel < channels_out && Math.max(row, column) < size_out;
  };

  function move(event, index) {
    const here = unit?.step === index ? unit : { step: index, channel: 0, ...middle(network[index]) };
    const { channels_out, size_out } = network[index];
    const next = { ...here };
    if (event.key === "Escape") pinned = false;
    else if (event.key === "PageUp" || event.key === "PageDown") {
      next.channel = (here.channel + (event.key === "PageUp" ? -1 : 1) + channels_out) % channels_out;
    } else if (event.key in ARROWS) {
      const [down, right] = ARROWS[event.key];
      if (size_out === 1) next.channel = Math.min(channels_out - 1, Math.max(0, here.channel + down + right));
      next.row = Math.min(size_out - 1, Math.max(0, here.row + down));
      next.column = Math.min(size_out - 1, Math.max(0, here.column + right));
    } else return;
    event.preventDefault();
    pinned = event.key !== "Escape";
    pick(next);
  }

  function pick(next) {
    unit = next;
    changed = true;
    picked(describe());
  }

  /** Lays the maps out again, for another width. */
  function arrange() {
    const width = place.clientWidth;
    for (const row of rows) {
      row.layout = layoutOf(row.step.channels_out, row.step.size_out, width, tileFor(row.step, width));
    }
    changed = true;
  }

  /** Draws the maps, and the lens over the image that the network was given. */
  function draw(image, colours) {
    changed ||= palette !== colours;
    palette = colours;
    for (const { step, maps, layout } of rows) drawMaps(maps, layout, step.output, largest(step.output), palette.shade);
    drawGiven(picture, image, palette, network[unit.step], unit);
    const words = describe();
    write(value, words.value);
    if (changed) drawUnit(words);
    changed = false;
  }

  /** What depends on the unit alone: its outline and that of what it is computed from, its kernel, and the words. */
  function drawUnit(words) {
    const step = network[unit.step], { channel, row, column } = unit;
    rows.forEach(({ layout, over, step: each }, index) => {
      const marks = [];
      if (index === unit.step) marks.push([channel, row, column, 1, 2], [channel, 0, 0, each.size_out, 1]);
      if (index === unit.step - 1) {
        const top = row * step.stride - step.padding, left = column * step.stride - step.padding;
        const side = (step.kernel - 1) * step.dilation + 1;
        for (const map of sources(step, channel)) marks.push([map, top, left, side, 1.5]);
      }
      outline(over, layout, marks, palette.mark);
    });
    drawKernel(step, channel);
    write(title, words.title);
    write(sees, words.sees);
    picture.setAttribute("aria-label", `The image that the network is given. ${words.sees}`);
    const field = fieldOf(step, row, column);
    lens.dataset.field = [field.top, field.left, field.side].join();
    lens.dataset.seen = [...field.rows, ...field.columns].join();
    pin.hidden = !pinned;
  }

  function drawKernel(step, channel) {
    const conv = step.operation === "conv", inner = step.channels_in / step.groups;
    kernel.hidden = !conv;
    if (!conv) {
      const best = step.flipped?.[channel] > 0.5 ? "smallest" : "largest";
      kernelTitle.textContent = `The ${step.operation.endsWith("max pool") ? best : "mean"} of `
        + `${step.kernel}×${step.kernel} values of the same channel in the layer before.`;
      return;
    }
    const length = inner * step.kernel ** 2, weights = step.weight.subarray(channel * length, (channel + 1) * length);
    const layout = layoutOf(inner, step.kernel, kernel.parentElement.clientWidth || 240, inner > 32 ? 12 : 26);
    drawMaps(kernel, layout, weights, largest(weights), palette.shade);
    kernelTitle.textContent = `Its kernel: ${step.kernel}×${step.kernel} weights for `
      + `${inner === 1 ? "the channel" : `each of the ${inner} channels`} before it.`;
    kernel.setAttribute("aria-label", `Kernel of ${inner} × ${step.kernel} × ${step.kernel} weights, the largest `
      + `${largest(weights).toPrecision(2)}; bias ${step.bias[channel].toFixed(2)}`);
  }

  function describe() {
    const step = network[unit.step], { channel, row, column } = unit;
    const field = fieldOf(step, row, column), side = step.size_out;
    const number = step.output[(channel * side + row) * side + column];
    const where = step.size_out === 1 ? "" : `, row ${row + 1}, column ${column + 1}`;
    const cut = field.top < 0 || field.left < 0 || field.top + field.side > 28 || field.left + field.side > 28;
    const span = ([from, to]) => (to > from ? `${from + 1} to ${to}` : "none");
    return {
      title: `Layer ${unit.step + 1}, channel ${channel + 1}${where}`,
      value: `${titleOf(step)}: ${number.toFixed(2)}`,
      sees: `Sees ${field.side}×${field.side} pixels: rows ${span(field.rows)}, columns ${span(field.columns)}`
        + `${cut ? "; the dashed part lies in the padding" : ""}.`,
    };
  }

  return { build, arrange, draw };
}

/** How large a map should be drawn: large where there is room. */
function tileFor({ channels_out }, width) {
  return channels_out > 48 ? 44 : width > 600 ? 86 : 52;
}

/** The channels of the layer before that a channel is computed from. */
function sources(step, channel) {
  if (step.operation !== "conv") return [channel];
  const inner = step.channels_in / step.groups, group = Math.floor((channel * step.groups) / step.channels_out);
  return Array.from({ length: inner }, (_, i) => group * inner + i);
}

export function largest(values) {
  let most = 1e-6;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
