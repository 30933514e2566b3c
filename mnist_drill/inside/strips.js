// Images of the test set, to be taken as they are.
import { bytes } from "./network.js";
import { SIDE } from "./preprocess.js";
import { drawMaps, layoutOf } from "./pictures.js";
import { button, element } from "./elements.js";

/**
 * A row of images, by position in the test set; `take` is given the 784 bytes of the one that is chosen. Where it is
 * `stepped`, buttons step through them, and labels are shown. Returns `part`, the element, `build(positions, palette)`,
 * `paint(palette)` and `show(index)`.
 */
export function makeStrip(title, images, take, { stepped = false } = {}) {
  const list = element("div", { class: "thumbs" }), place = element("span", { class: "place" });
  const part = element("section", { class: "strip" }, element("h2", {}, title), list);
  let positions = [], at = -1;
  if (stepped) {
    const previous = button("Previous", () => show(at < 0 ? -1 : at - 1)), next = button("Next", () => show(at + 1));
    part.append(element("div", { class: "buttons" }, previous, next, place));
  }

  function show(index) {
    if (!positions.length) return;
    at = (index + positions.length) % positions.length;
    take(pixelsOf(positions[at]));
    place.textContent = `${at + 1} of ${positions.length}, labelled ${images[positions[at]].label}`;
  }

  function pixelsOf(position) {
    const image = images[position];
    return (image.bytes ??= bytes(image.pixels));
  }

  function build(wanted, palette) {
    if (wanted.join() === positions.join()) return;
    positions = wanted;
    part.hidden = !positions.length;
    at = -1;
    place.textContent = "";
    list.replaceChildren(...positions.map((position, index) => {
      const { label } = images[position], name = `Image ${position} of the test set, labelled ${label}`;
      const choice = button("", () => show(index), { class: "thumb", "aria-label": name });
      choice.append(element("canvas", { "aria-hidden": "true" }));
      if (stepped) choice.append(element("small", {}, `${label}`));
      return choice;
    }));
    paint(palette);
  }

  function paint(palette) {
    if (!palette) return;
    list.querySelectorAll("canvas").forEach((thumb, index) => {
      const shares = Float32Array.from(pixelsOf(positions[index]), (value) => value / 255);
      drawMaps(thumb, layoutOf(1, SIDE, 36, 36), shares, 1, palette.grey);
    });
  }

  part.hidden = true;
  return { part, build, paint, show };
}
