// What each channel adds to the logit of a class: a bar for each, under its map.
import { contributions } from "./network.js";
import { drawMaps, layoutOf } from "./pictures.js";
import { attribute, element, write } from "./elements.js";
import { largest } from "./layers.js";

const MOST = 32, SHOWN = 16; // of more channels than `MOST`, the largest contributions are shown

const signed = (number) => `${number <= -0.005 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;

/** Returns `part`, the element, and `draw(network, label, empty, palette)`. */
export function makeDecision() {
  const words = element("p", { class: "text" }), list = element("ol", { class: "parts" });
  const part = element("section", { class: "decision" }, words, list);
  let columns = [], layout = null, shown = "";

  function draw(network, label, empty, palette) {
    const last = network[network.length - 1], before = network[network.length - 2];
    const averaged = before?.operation === "global average pool", { parts, bias } = contributions(network, label);
    const channels = Array.from(parts.keys());
    if (channels.length > MOST) channels.sort((a, b) => Math.abs(parts[b]) - Math.abs(parts[a]));
    const few = channels.length > MOST ? channels.slice(0, SHOWN) : channels;
    if (few.join() !== shown) build(few);
    write(words, empty ? "Nothing is drawn yet." : inWords(last, label, averaged, parts, bias, channels, few.length));

    const source = averaged ? before.input : last.input, side = averaged ? before.size_in : last.size_in;
    const top = largest(source), most = largest(parts);
    if (layout?.side !== side) layout = layoutOf(1, side, 60, 40);
    for (const { channel, map, bar, number, item } of columns) {
      const square = side * side, share = parts[channel] / most;
      drawMaps(map, layout, source.subarray(channel * square, (channel + 1) * square), top, palette.shade);
      bar.style.transform = `scaleY(${share})`; // below the line where it is negative
      bar.classList.toggle("against", share < 0);
      write(number, signed(parts[channel]));
      attribute(item, "aria-label", `Channel ${channel + 1} adds ${signed(parts[channel])}`);
    }
  }

  function inWords(last, label, averaged, parts, bias, channels, few) {
    const what = averaged ? "the mean of a channel times its weight" : "a channel’s values times their weights";
    const rest = channels.slice(few).reduce((sum, channel) => sum + parts[channel], 0);
    const others = `These are the ${few} largest of ${channels.length}; the others add ${signed(rest)}. `;
    return `The logit of ${label} is ${last.output[label].toFixed(2)}: the sum over the channels of ${what} in the `
      + `last convolution${Math.abs(bias) > 1e-6 ? `, and the bias ${signed(bias)}` : ""}. `
      + (channels.length > few ? others : "")
      + "Blue speaks for it, orange against it. Choose another digit among the probabilities.";
  }

  function build(few) {
    shown = few.join();
    columns = few.map((channel) => {
      const map = element("canvas", { "aria-hidden": "true" }), bar = element("i", {}), number = element("b", {});
      const updown = element("span", { class: "updown" }, bar);
      const item = element("li", {}, map, updown, number, element("small", {}, `${channel + 1}`));
      return { channel, map, bar, number, item };
    });
    list.replaceChildren(...columns.map(({ item }) => item));
  }

  return { part, draw };
}
