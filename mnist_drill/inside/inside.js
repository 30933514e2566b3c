// See inside a network: `render` puts it into an element, on a page or in a notebook.
import { forward, networkOf, softmax, valueCount } from "./network.js";
import { SIDE, preprocess, shrink } from "./preprocess.js";
import { PAD, makePad } from "./pad.js";
import { drawGiven, paletteOf } from "./pictures.js";
import { attribute, button, choices, element, followTheme, write } from "./elements.js";
import { makeLayers } from "./layers.js";
import { valuesOf } from "./weights.js";
import { makeDecision } from "./decision.js";
import { makeStrip } from "./strips.js";

const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 0 : 1)} %`;

/**
 * Shows the networks of `model.get("page")`, a dictionary that `mnist_drill.inside.page` makes, in the element `el`.
 * The signature is that of anywidget. Returns a function that ends it.
 */
export function render({ model, el }) {
  const page = model.get("page");
  el.classList.add("drill");
  const fault = element("p", { class: "fault", role: "alert" });
  const spoken = element("p", { class: "spoken", "aria-live": "polite" });
  el.append(fault, spoken);
  fault.hidden = true;
  const fail = (text) => {
    fault.textContent = text;
    fault.hidden = !text;
  };

  // What is shown.
  let chosen = page.networks.find(({ name }) => name === page.start) ?? page.networks[0];
  let shown = chosen; // whose weights are in `network`
  let network = null, epoch = 0, palette = null, label = null, followed = true;
  let scaling = true;

  // The pad, the image that the network is given, and its answer.
  const canvas = element("canvas", {
    class: "pad", tabindex: 0, role: "application", "aria-roledescription": "drawing pad",
    "aria-label": "Draw a digit. With the keyboard: arrow keys move the pen, Space lowers or lifts it, Delete clears, "
      + "Backspace undoes.",
  });
  const say = (text) => (spoken.textContent = text);
  const pad = makePad(canvas, { changed: () => schedule(), say });
  const hint = element("p", { class: "hint" });
  const badge = element("span", { class: "badge", "aria-hidden": "true" }); // where the answer is further down
  const picture = element("canvas", { role: "img", class: "given" });
  const caption = element("p", { class: "hint" });
  const switchBox = element("input", { type: "checkbox", role: "switch" });
  switchBox.checked = true;
  switchBox.addEventListener("change", () => {
    scaling = switchBox.checked;
    schedule();
  });
  const answerDigit = element("b", {}), answerWords = element("span", {});
  const answer = element("p", { class: "answer" }, answerDigit, answerWords);
  const bars = Array.from({ length: 10 }, (_, digit) => {
    const bar = element("span", { class: "bar" }), share = element("span", { class: "share" });
    const row = button("", () => {
      followed = label === digit && !followed;
      label = digit;
      schedule();
    }, { class: "probability" });
    row.append(element("span", { class: "digit" }, `${digit}`), element("span", { class: "track" }, bar), share);
    return { row, bar, share };
  });
  const top = element("div", { class: "top" },
    element("section", { class: "panel" }, element("h2", {}, "Draw", badge), canvas,
      element("div", { class: "buttons" }, button("Clear", () => pad.clear()), button("Undo", () => pad.undo())), hint),
    element("section", { class: "panel" }, element("h2", {}, "What the network is given"), picture,
      element("label", { class: "switch" }, switchBox, element("span", {}, "MNIST’s preprocessing")), caption),
    element("section", { class: "panel answers" }, element("h2", {}, "What it answers"), answer,
      element("div", { class: "probabilities", role: "group", "aria-label": "Probability of each digit" },
        ...bars.map(({ row }) => row))));

  // Images of the test set to begin with.
  const show = (pixels) => pad.show(pixels);
  const examples = makeStrip("Images of the test set", page.images, show);
  const errors = makeStrip("Its most confident errors on the test set", page.images, show, { stepped: true });
  const images = element("div", { class: "strips" }, examples.part, errors.part);

  // Which network, after how much training.
  const controls = element("section", { class: "panel controls" });
  const slider = element("input", { type: "range", min: 1, step: 1, "aria-label": "Epoch" });
  const reached = element("p", { class: "reached" });
  const curve = element("div", { class: "curve", "aria-hidden": "true" });
  let playing = null;
  const play = button("Play", () => (playing ? stop() : start()));
  slider.addEventListener("input", () => {
    stop();
    choose(chosen, Number(slider.value));
  });

  const lens = element("aside", { class: "lens", "aria-label": "The unit that you point at" });
  const rows = element("div", { class: "layers" });
  const layers = makeLayers(rows, lens, {
    picked: ({ title, value, sees }) => {
      schedule();
      if (rows.contains(document.activeElement)) say(`${title}. ${value}. ${sees}`);
    },
  });
  const decision = makeDecision();
  el.append(top, images, controls,
    element("h2", {}, "Layer by layer"),
    element("p", { class: "text" }, "Each square below is a feature map: what one channel of a layer makes of "
      + "the image. Point at any unit in it, tap it, or reach it with Tab and the arrow keys: the orange square is the "
      + "part of the image that this unit depends on, its receptive field. It grows from layer to layer. The maps of a "
      + "layer share one scale; blue is above zero, orange below."),
    element("div", { class: "inside" }, lens, rows),
    element("h2", {}, "What each channel adds to the decision"), decision.part);
  controls.append(
    ...(page.networks.length > 1 ? [choices("Network", page.networks.map(({ name, title, parameters }) => (
      { value: name, label: title, note: `${parameters.toLocaleString("en")} parameters` }
    )), chosen.name, (name) => {
      stop();
      choose(page.networks.find((each) => each.name === name), Infinity);
    })] : []),
    element("div", { class: "training" }, element("h2", {}, "Training"),
      element("div", { class: "scrub" }, play, slider), reached, curve));

  // Weights.
  async function choose(next, wanted) {
    chosen = next;
    try {
      const values = await valuesOf(next);
      if (chosen !== next) return; // another one was chosen meanwhile
      const count = valueCount(next.steps), kept = values.length / count;
      epoch = Math.min(Math.max(1, wanted), next.epochs.length);
      const row = kept - 1 - (next.epochs.length - epoch);
      const at = Math.max(0, row) * count;
      network = networkOf(next.steps, values.subarray(at, at + count));
      shown = next;
      if (row < 0) epoch = next.epochs.length - kept + 1;
      fail("");
      layers.build(network);
      errors.build(next.errors ?? [], palette);
      showTraining(kept);
      schedule();
    } catch (error) {
      if (chosen !== next) return;
      chosen = shown;
      for (const radio of controls.querySelectorAll("input[type=radio]")) radio.checked = radio.value === shown.name;
      fail(error.message);
    }
  }

  function showTraining(kept) {
    const { epochs } = chosen, row = epochs[epoch - 1];
    controls.querySelector(".training").hidden = row.accuracy === null;
    controls.hidden = row.accuracy === null && page.networks.length < 2;
    Object.assign(slider, { min: epochs.length - kept + 1, max: epochs.length, disabled: kept < 2 });
    slider.value = epoch;
    slider.setAttribute("aria-valuetext", `after epoch ${epoch} of ${epochs.length}`);
    play.disabled = kept < 2;
    if (row.accuracy === null) return;
    const accuracy = element("b", {}, `${row.accuracy.toFixed(2)} %`);
    const only = kept < 2 ? ". Of this network only the last epoch is stored." : "";
    reached.replaceChildren(`After epoch ${epoch} of ${epochs.length}: `, accuracy, ` test accuracy${only}`);
    drawCurve(epochs, epoch);
  }

  function drawCurve(epochs, now) {
    const errors = epochs.map(({ accuracy }) => Math.log(Math.max(0.01, 100 - accuracy))); // spreads the last points
    const low = Math.min(...errors), high = Math.max(...errors);
    const x = (index) => (epochs.length < 2 ? 100 : 4 + (192 * index) / (epochs.length - 1));
    const y = (error) => 36 - (32 * (error - low)) / (high - low || 1);
    const points = errors.map((error, index) => `${x(index)},${y(error).toFixed(1)}`);
    const svg = (tag, attributes, ...children) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      made.append(...children);
      return made;
    };
    const [cx, cy] = points[now - 1].split(",");
    curve.replaceChildren(svg("svg", { viewBox: "0 0 200 40" },
      svg("polyline", { points: points.join(" "), class: "line" }), svg("circle", { cx, cy, r: 3.5, class: "dot" })),
    element("small", {}, "test error after each epoch, on a logarithmic scale"));
  }

  function start() {
    play.textContent = "Pause";
    const last = chosen.epochs.length;
    if (epoch === last) choose(chosen, 1);
    playing = setInterval(() => (epoch < last ? choose(chosen, epoch + 1) : stop()), 600);
  }

  function stop() {
    clearInterval(playing);
    playing = null;
    play.textContent = "Play";
  }

  // A frame: at most one for each that the screen shows.
  let waiting = 0, talk = 0;
  function schedule() {
    waiting ||= requestAnimationFrame(update);
  }

  function update() {
    waiting = 0;
    if (!network || !palette) return;
    performance.mark("drill-start");
    const untouched = pad.image(), ink = untouched ? null : pad.ink();
    const empty = !untouched && !ink.some((value) => value > 0.2);
    const given = empty ? null
      : untouched ? Float32Array.from(untouched, (value) => value / 255)
        : scaling ? preprocess(ink, PAD, PAD) : shrink(ink, PAD);
    const image = Float32Array.from(given ?? new Float32Array(SIDE * SIDE), (value) => (value - page.mean) / page.std);
    const shares = softmax(forward(network, image));
    layers.draw(given, palette);
    showAnswer(shares, given, untouched);
    decision.draw(network, label, empty, palette);
    performance.mark("drill-end");
    performance.clearMeasures("drill-frame");
    performance.measure("drill-frame", "drill-start", "drill-end");
  }

  function showAnswer(shares, given, untouched) {
    const empty = !given;
    const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]), best = order[0];
    if (followed) label = best;
    answerDigit.hidden = empty;
    write(answerDigit, `${best}`);
    write(answerWords, empty ? "Nothing is drawn yet." : ` with ${percent(shares[best])} probability`);
    write(badge, empty ? "" : `${best} · ${percent(shares[best])}`);
    bars.forEach(({ row, bar, share }, digit) => {
      bar.style.transform = `scaleX(${empty ? 0 : shares[digit]})`;
      write(share, empty ? "–" : percent(shares[digit]));
      row.classList.toggle("best", !empty && digit === best);
      attribute(row, "aria-pressed", digit === label);
      attribute(row, "aria-label", `${digit}: ${empty ? "no image" : percent(shares[digit])}. Show its channels`);
    });
    drawGiven(picture, given, palette);
    attribute(picture, "aria-label", empty ? "An empty image of 28×28 pixels"
      : `The image of 28×28 pixels that the network is given; it answers ${best}`);
    write(hint, untouched ? "An image of the test set. Draw on it, or clear it and draw your own."
      : "With a mouse, a pen, a finger, or arrow keys and Space.");
    write(caption, untouched ? "An image of the test set has had it already: it is taken as it is."
      : scaling ? "The digit is scaled into a box of 20×20 pixels and centred by its mass, as all 60,000 were."
        : "Off: the whole square is shrunk. Draw small, or in a corner, and see what the network makes of it.");
    clearTimeout(talk);
    talk = setTimeout(() => {
      if (!empty && !rows.contains(document.activeElement)) {
        say(`The answer is ${best}, ${percent(shares[best])}. Then ${order[1]}, ${percent(shares[order[1]])}.`);
      }
    }, 500);
  }

  const forget = followTheme((dark) => {
    el.dataset.theme = dark ? "dark" : "light";
    palette = paletteOf(getComputedStyle(el));
    pad.colour(getComputedStyle(el).getPropertyValue("--text"));
    examples.paint(palette);
    errors.paint(palette);
    schedule();
  });
  const resized = new ResizeObserver(() => {
    layers.arrange();
    schedule();
  });
  resized.observe(rows);
  examples.build(page.examples, palette);
  examples.show(Math.min(7, page.examples.length - 1));
  choose(chosen, Infinity);
  return () => {
    forget();
    stop();
    resized.disconnect();
    cancelAnimationFrame(waiting);
    clearTimeout(talk);
    el.replaceChildren();
  };
}
