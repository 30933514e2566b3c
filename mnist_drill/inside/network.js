// The network in plain JavaScript: no dependency, no page. Everything here also runs in node, where tests compare it
// with torch. A map of c channels of side s is a Float32Array of c * s * s values, row by row.

/** 16-bit floats, little-endian in base64, as numbers. */
export function halfs(base64) {
  const text = atob(base64), count = text.length >> 1, values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    values[i] = HALF[text.charCodeAt(2 * i) | (text.charCodeAt(2 * i + 1) << 8)];
  }
  return values;
}

// All 65,536 of them. (No engine lacks Float32Array; Float16Array is too new.)
const HALF = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  HALF[bits] = exponent === 0 ? sign * fraction * 2 ** -24
    : exponent === 31 ? (fraction ? NaN : sign * Infinity)
      : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bytes in base64. */
export function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** How many values the steps of a network have: kernels and biases, and which channels of a max pool are flipped. */
export function valueCount(steps) {
  return steps.reduce((sum, step) => sum + sizes(step).reduce((a, b) => a + b, 0), 0);
}

function sizes(step) {
  if (step.operation === "conv") {
    return [step.channels_out * (step.channels_in / step.groups) * step.kernel ** 2, step.channels_out];
  }
  return step.flips ? [step.channels_out] : [];
}

/** The steps with their values, and with room for what they make of an image. */
export function networkOf(steps, values) {
  let start = 0;
  return steps.map((step) => {
    const [first, second] = sizes(step).map((size) => values.subarray(start, (start += size)));
    const output = new Float32Array(step.channels_out * step.size_out ** 2);
    return step.operation === "conv" ? { ...step, weight: first, bias: second, output }
      : { ...step, flipped: first, output };
  });
}

/** Runs a normalized image of 28 * 28 values through the network; each step's `output` is then its maps. */
export function forward(network, image) {
  let input = image;
  for (const step of network) {
    step.input = input;
    if (step.operation === "conv") convolve(step, input);
    else if (step.operation.endsWith("max pool")) maxPool(step, input);
    else averagePool(step, input);
    if (step.relu) {
      const output = step.output;
      for (let i = 0; i < output.length; i++) if (output[i] < 0) output[i] = 0;
    }
    input = step.output;
  }
  return input;
}

function convolve(step, input) {
  const { kernel, stride, dilation, groups, channels_in, channels_out, size_out, weight, bias, output } = step;
  const { image, side } = padded(step, input, 0);
  const inner = channels_in / groups, outer = channels_out / groups, area = side * side, square = size_out * size_out;
  const fast = kernel === 3 && stride === 1 && dilation === 1;
  for (let out = 0; out < channels_out; out++) {
    const start = out * square, from = Math.floor(out / outer) * inner;
    output.fill(bias[out], start, start + square);
    for (let c = 0; c < inner; c++) {
      const at = (out * inner + c) * kernel * kernel, source = (from + c) * area;
      if (fast) addThreeByThree(output, start, image, source, side, size_out, weight, at);
      else addAny(output, start, image, source, side, size_out, weight, at, kernel, stride, dilation);
    }
  }
}

// Nine weights in local variables, a window that slides along a row, and three sums that do not wait for each other: a
// network spends nearly all its time here.
function addThreeByThree(target, to, source, from, side, size, weight, at) {
  const a = weight[at], b = weight[at + 1], c = weight[at + 2], d = weight[at + 3], e = weight[at + 4];
  const f = weight[at + 5], g = weight[at + 6], h = weight[at + 7], k = weight[at + 8];
  for (let y = 0; y < size; y++) {
    let p = from + y * side, q = p + side, r = q + side;
    let p0 = source[p++], p1 = source[p++], q0 = source[q++], q1 = source[q++], r0 = source[r++], r1 = source[r++];
    for (let x = 0; x < size; x++) {
      const p2 = source[p++], q2 = source[q++], r2 = source[r++];
      target[to++] += (a * p0 + b * p1 + c * p2) + (d * q0 + e * q1 + f * q2) + (g * r0 + h * r1 + k * r2);
      p0 = p1; p1 = p2; q0 = q1; q1 = q2; r0 = r1; r1 = r2;
    }
  }
}

function addAny(target, start, source, from, side, size, weight, at, kernel, stride, dilation) {
  for (let i = 0; i < kernel; i++) {
    for (let j = 0; j < kernel; j++) {
      const w = weight[at++];
      for (let y = 0, to = start; y < size; y++) {
        let p = from + (y * stride + i * dilation) * side + j * dilation;
        for (let x = 0; x < size; x++, p += stride) target[to++] += w * source[p];
      }
    }
  }
}

function maxPool(step, input) {
  const { kernel, stride, dilation, channels_out, size_out, flipped, output } = step;
  for (let c = 0, to = 0; c < channels_out; c++) {
    const least = flipped?.[c] > 0.5;
    const { image, side } = padded(step, input, least ? Infinity : -Infinity);
    for (let y = 0; y < size_out; y++) {
      for (let x = 0; x < size_out; x++) {
        let best = least ? Infinity : -Infinity;
        for (let i = 0; i < kernel; i++) {
          for (let j = 0; j < kernel; j++) {
            const value = image[(c * side + y * stride + i * dilation) * side + x * stride + j * dilation];
            if (least ? value < best : value > best) best = value;
          }
        }
        output[to++] = best;
      }
    }
  }
}

function averagePool({ kernel, stride, channels_out, size_in, size_out, output }, input) {
  for (let c = 0, to = 0; c < channels_out; c++) {
    for (let y = 0; y < size_out; y++) {
      for (let x = 0; x < size_out; x++) {
        let sum = 0;
        for (let i = 0; i < kernel; i++) {
          for (let j = 0; j < kernel; j++) sum += input[(c * size_in + y * stride + i) * size_in + x * stride + j];
        }
        output[to++] = sum / kernel ** 2;
      }
    }
  }
}

function padded({ padding, size_in, channels_in }, input, value) {
  if (!padding) return { image: input, side: size_in };
  const side = size_in + 2 * padding, image = new Float32Array(channels_in * side * side).fill(value);
  for (let c = 0; c < channels_in; c++) {
    for (let y = 0; y < size_in; y++) {
      const row = (c * size_in + y) * size_in;
      image.set(input.subarray(row, row + size_in), (c * side + y + padding) * side + padding);
    }
  }
  return { image, side };
}

/** Probabilities from logits. */
export function softmax(logits) {
  const most = Math.max(...logits), powers = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * What each channel that the last convolution takes adds to the logit of a class: the sum of its values times their
 * weights. After global average pooling that is one product, the channel's mean times its weight. Together with the
 * bias they are the logit.
 */
export function contributions(network, label) {
  const { weight, bias, channels_in, size_in, groups, channels_out, input } = network[network.length - 1];
  const square = size_in ** 2, inner = channels_in / groups, from = Math.floor((label * groups) / channels_out) * inner;
  const parts = new Float32Array(channels_in);
  for (let c = 0; c < inner; c++) {
    for (let i = 0; i < square; i++) {
      parts[from + c] += weight[(label * inner + c) * square + i] * input[(from + c) * square + i];
    }
  }
  return { parts, bias: bias[label] };
}

/**
 * The receptive field of the unit in a row and a column of a step, by the numbers of `receptive_field.trace`: its first
 * row and column, which are below 0 where it reaches into the padding, and its side; and what lies within the image.
 */
export function fieldOf(step, row, column, side = 28) {
  const top = step.first + step.jump * row, left = step.first + step.jump * column;
  const clip = (from) => [Math.max(0, from), Math.min(side, from + step.field)];
  return { top, left, side: step.field, rows: clip(top), columns: clip(left) };
}
