// Pictures of numbers on canvases: maps, kernels, and the image with a receptive field over it.
import { fieldOf } from "./network.js";
import { SIDE } from "./preprocess.js";

const GAP = 1; // pixels of a canvas between two maps

/** Colours of a theme, for canvases: `shade(share)` of a number between -1 and 1 is a pixel as 32 bits. */
export function paletteOf(style) {
  const colours = ["--map", "--text", "--high", "--low"].map((name) => rgb(style.getPropertyValue(name)));
  const [paper, ink, high, low] = colours;
  const ramp = (colour) => Uint32Array.from({ length: 256 }, (_, i) => {
    const mixed = paper.map((from, k) => Math.round(from + (colour[k] - from) * (i / 255)));
    return (255 << 24) | (mixed[2] << 16) | (mixed[1] << 8) | mixed[0]; // as every computer of today orders bytes
  });
  const above = ramp(high), below = ramp(low), grey = ramp(ink);
  const level = (share) => Math.min(255, Math.round(255 * share));
  return {
    shade: (share) => (share < 0 ? below[level(-share)] : above[level(share)]),
    grey: (share) => grey[level(share)],
    mark: style.getPropertyValue("--mark"),
    line: style.getPropertyValue("--line"),
    muted: style.getPropertyValue("--muted"),
  };
}

function rgb(text) {
  const digits = text.trim().slice(1);
  return [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16));
}

/**
 * Where `count` maps of a side lie on a canvas of at most that width: in rows that are filled alike. A unit takes
 * `zoom` pixels of the screen and `grain` of the canvas, which is small, since it is drawn at every stroke; the browser
 * enlarges it. Positions are in pixels of the canvas.
 */
export function layoutOf(count, side, width, wanted = 52) {
  const zoom = Math.max(1, side === 1 ? 26 : Math.round(wanted / side)), grain = Math.max(1, Math.round(zoom / 4));
  const tile = side * grain, pitch = tile + GAP, scale = zoom / grain;
  const most = Math.max(1, Math.floor((width / scale + GAP) / pitch));
  const rows = Math.ceil(count / most), columns = Math.ceil(count / rows);
  return {
    count, side, grain, scale, tile, pitch, columns,
    width: columns * pitch - GAP,
    height: rows * pitch - GAP,
    corner: (map) => [(map % columns) * pitch, Math.floor(map / columns) * pitch],
  };
}

/** The unit at a point of the screen: its map, its row and its column; between two maps it is of the one before. */
export function unitAt(layout, x, y) {
  const { count, pitch, grain, scale, side, columns } = layout;
  const [column, row] = [x, y].map((at) => Math.max(0, Math.floor(at / scale / pitch)));
  const map = Math.min(count - 1, row * columns + Math.min(columns - 1, column)), [left, top] = layout.corner(map);
  const within = (at, from) => Math.min(side - 1, Math.max(0, Math.floor((at / scale - from) / grain)));
  return { channel: map, row: within(y, top), column: within(x, left) };
}

/** Gives a canvas the size of a layout: in its own pixels times `times`, and on the screen. */
function fit(canvas, layout, times = 1) {
  if (canvas.layout === layout) return;
  canvas.layout = layout;
  Object.assign(canvas, { width: layout.width * times, height: layout.height * times });
  canvas.style.width = `${layout.width * layout.scale}px`;
  canvas.style.aspectRatio = `${layout.width} / ${layout.height}`;
  canvas.pixels = null;
}

/** Draws maps by their layout; a value of `most` has the full colour. */
export function drawMaps(canvas, layout, values, most, shade) {
  fit(canvas, layout);
  const { count, side, grain, tile, width, height } = layout, context = canvas.getContext("2d");
  canvas.pixels ??= context.createImageData(width, height);
  const pixels = new Uint32Array(canvas.pixels.data.buffer);
  for (let map = 0, from = 0; map < count; map++) {
    const [left, top] = layout.corner(map);
    for (let y = 0; y < side; y++) {
      const start = (top + y * grain) * width + left;
      for (let x = 0, to = start; x < side; x++) {
        const colour = shade(values[from++] / most);
        for (let i = 0; i < grain; i++) pixels[to++] = colour;
      }
      for (let line = 1; line < grain; line++) pixels.copyWithin(start + line * width, start, start + tile);
    }
  }
  context.putImageData(canvas.pixels, 0, 0);
}

/** Outlines units or windows on a canvas over maps: `marks` are [map, row, column, side, width of the line]. */
export function outline(canvas, layout, marks, colour) {
  const { tile, grain, scale } = layout, context = canvas.getContext("2d");
  fit(canvas, layout, scale);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = colour;
  for (const [map, row, column, side, thick] of marks) {
    const [left, top] = layout.corner(map);
    const clip = (from) => [Math.max(0, from * grain), Math.min(tile, (from + side) * grain)].map((at) => at * scale);
    const [x0, x1] = clip(column), [y0, y1] = clip(row);
    if (x1 <= x0 || y1 <= y0) continue;
    context.lineWidth = thick;
    context.strokeRect(left * scale + x0, top * scale + y0, x1 - x0, y1 - y0);
  }
}

/**
 * Draws the image that the network is given, and over it the receptive field of a unit of `step`, if there is one; then
 * with a margin around the image, where the field may reach into the padding.
 */
export function drawGiven(canvas, image, palette, step, unit) {
  const margin = unit ? 2 : 0, cell = 10, side = (SIDE + 2 * margin) * cell;
  if (canvas.width !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(SIDE, SIDE), words = new Uint32Array(pixels.data.buffer);
  for (let i = 0; i < words.length; i++) words[i] = palette.grey(image ? image[i] : 0);
  const small = (canvas.small ??= Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE }));
  small.getContext("2d").putImageData(pixels, 0, 0);
  context.clearRect(0, 0, side, side);
  context.imageSmoothingEnabled = false;
  context.drawImage(small, margin * cell, margin * cell, SIDE * cell, SIDE * cell);
  if (!unit) return;
  context.lineWidth = 1;
  context.setLineDash([]);
  context.strokeStyle = palette.line;
  context.strokeRect(margin * cell - 0.5, margin * cell - 0.5, SIDE * cell + 1, SIDE * cell + 1);
  const field = fieldOf(step, unit.row, unit.column), to = (pixel) => (pixel + margin) * cell;
  const box = (rows, columns) => (
    [to(columns[0]), to(rows[0]), (columns[1] - columns[0]) * cell, (rows[1] - rows[0]) * cell]
  );
  const whole = box([field.top, field.top + field.side], [field.left, field.left + field.side]);
  const seen = box(field.rows, field.columns);
  context.strokeStyle = context.fillStyle = palette.mark;
  context.globalAlpha = 0.25;
  context.fillRect(...seen);
  context.globalAlpha = 1;
  context.lineWidth = 3;
  context.setLineDash([4, 4]); // what lies in the padding
  context.strokeRect(...whole);
  context.setLineDash([]);
  context.strokeRect(...seen);
}
