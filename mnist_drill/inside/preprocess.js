// MNIST's preprocessing, as `mnist_drill/inputs/pictures.py` has it; tests compare the two. Ink is a Float32Array, row
// by row, between 0 and 1.

export const SIDE = 28;
const BOX = 20, FAINT = 0.2; // what is fainter does not count as part of the digit's box

/** Ink of any size, scaled into a box of 20×20 and centred by mass in 28×28; null where there is none. */
export function preprocess(ink, width, height) {
  const box = boxOf(ink, width, height);
  if (!box) return null;
  const scale = BOX / Math.max(box.width, box.height);
  const columns = Math.max(1, roundHalfToEven(box.width * scale));
  const rows = Math.max(1, roundHalfToEven(box.height * scale));
  const digit = resize(box.ink, box.width, box.height, columns, rows);
  let most = 0;
  for (let i = 0; i < digit.length; i++) most = Math.max(most, (digit[i] = Math.min(1, Math.max(0, digit[i]))));
  for (let i = 0; i < digit.length; i++) digit[i] /= most;

  let mass = 0, down = 0, right = 0;
  for (let y = 0, i = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, i++) {
      mass += digit[i];
      down += y * digit[i];
      right += x * digit[i];
    }
  }
  const place = (centre, side) => Math.min(Math.max(Math.floor(SIDE / 2 - centre + 0.5), 0), SIDE - side);
  const top = place(down / mass, rows), left = place(right / mass, columns);
  const image = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < rows; y++) {
    image.set(digit.subarray(y * columns, (y + 1) * columns), (top + y) * SIDE + left);
  }
  return image;
}

/** Square ink, scaled down to 28×28 by the mean of each cell: what a network is given without the preprocessing. */
export function shrink(ink, side) {
  const cell = side / SIDE, image = new Float32Array(SIDE * SIDE);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      image[Math.floor(y / cell) * SIDE + Math.floor(x / cell)] += ink[y * side + x] / cell ** 2;
    }
  }
  return image;
}

function boxOf(ink, width, height) {
  let top = height, bottom = -1, left = width, right = -1;
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (ink[i] > FAINT) {
        if (y < top) top = y;
        bottom = y;
        if (x < left) left = x;
        if (x > right) right = x;
      }
    }
  }
  if (bottom < 0) return null;
  const box = { width: right - left + 1, height: bottom - top + 1 };
  box.ink = new Float32Array(box.width * box.height);
  for (let y = 0; y < box.height; y++) {
    const from = (top + y) * width + left;
    box.ink.set(ink.subarray(from, from + box.width), y * box.width);
  }
  return box;
}

/** Bicubic with antialiasing, as torch's `interpolate` and PIL do it: the kernel widens as the image shrinks. */
function resize(ink, width, height, columns, rows) {
  const across = weightsOf(width, columns), down = weightsOf(height, rows);
  const narrow = new Float32Array(columns * height), small = new Float32Array(columns * rows);
  for (let y = 0; y < height; y++) {
    across.forEach(({ first, weights }, x) => {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * ink[y * width + first + i];
      narrow[y * columns + x] = sum;
    });
  }
  down.forEach(({ first, weights }, y) => {
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * narrow[(first + i) * columns + x];
      small[y * columns + x] = sum;
    }
  });
  return small;
}

function weightsOf(from, to) {
  const scale = from / to, widened = Math.max(scale, 1), support = 2 * widened;
  return Array.from({ length: to }, (_, i) => {
    const centre = scale * (i + 0.5);
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const last = Math.min(Math.trunc(centre + support + 0.5), from);
    const weights = Array.from({ length: last - first }, (_, j) => cubic((first + j - centre + 0.5) / widened));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
  });
}

function cubic(x) {
  const a = -0.5;
  x = Math.abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

function roundHalfToEven(x) {
  const whole = Math.floor(x), rest = x - whole;
  return rest === 0.5 ? whole + (whole % 2) : Math.round(x);
}
