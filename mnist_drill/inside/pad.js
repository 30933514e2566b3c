// The square that one draws on, with a mouse, a pen, a finger or the keyboard.
import { SIDE } from "./preprocess.js";

export const PAD = 280; // pixels of its ink, whatever its size on the screen
const CELL = PAD / SIDE, PEN = 22;

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Makes `canvas` a pad. `changed` is called after every change, `say` with what the keyboard did, in words. Returns
 * `ink()`, `image()` (the test image that is shown untouched, or null), `show(image)`, `clear()`, `undo()` and
 * `colour(css)`.
 */
export function makePad(canvas, { changed, say }) {
  const surface = document.createElement("canvas"); // the ink is its opacity
  for (const each of [canvas, surface]) each.width = each.height = PAD;
  const pen = surface.getContext("2d", { willReadFrequently: true });
  const screen = canvas.getContext("2d");
  let now = { image: null, strokes: [] }, past = [], colour = "#000";
  let active = null; // the pointer that draws
  let stale = true; // whether `ink` is of an earlier drawing
  const ink = new Float32Array(PAD * PAD);
  const cursor = { x: 13, y: 6, down: false, shown: false };

  function become(next) {
    past = [...past.slice(-99), now];
    now = next;
    redraw();
  }

  function redraw() {
    pen.clearRect(0, 0, PAD, PAD);
    if (now.image) {
      const pixels = pen.createImageData(PAD, PAD);
      for (let i = 0; i < PAD * PAD; i++) {
        const row = Math.floor(i / PAD / CELL), column = Math.floor((i % PAD) / CELL);
        pixels.data[4 * i + 3] = now.image[row * SIDE + column];
      }
      pen.putImageData(pixels, 0, 0);
    }
    for (const stroke of now.strokes) line(stroke, 0);
    refresh();
    tell();
  }

  /** Draws a stroke from its point number `from` on. */
  function line(stroke, from) {
    pen.lineWidth = PEN;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...stroke[from]);
    for (const point of stroke.slice(from)) pen.lineTo(...point);
    pen.stroke();
  }

  function refresh() {
    screen.clearRect(0, 0, PAD, PAD);
    screen.drawImage(surface, 0, 0);
    screen.globalCompositeOperation = "source-in";
    screen.fillStyle = colour;
    screen.fillRect(0, 0, PAD, PAD);
    screen.globalCompositeOperation = "source-over";
    if (cursor.shown) {
      screen.beginPath();
      screen.arc(...at(cursor), PEN / 2, 0, 7);
      screen.lineWidth = 3;
      screen.strokeStyle = "#d9730d";
      screen.stroke();
      if (cursor.down) {
        screen.fillStyle = "#d9730d";
        screen.fill();
      }
    }
  }

  const at = ({ x, y }) => [(x + 0.5) * CELL, (y + 0.5) * CELL];

  function begin(point) {
    become({ ...now, strokes: [...now.strokes, [point]] });
  }

  function extend(points) {
    const stroke = now.strokes[now.strokes.length - 1], from = stroke.length - 1;
    stroke.push(...points);
    line(stroke, from);
    refresh();
    tell();
  }

  function tell() {
    stale = true;
    changed();
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * PAD, ((event.clientY - box.top) / box.height) * PAD];
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (active !== null || event.button > 0) return;
    active = event.pointerId;
    canvas.setPointerCapture(active);
    cursor.down = cursor.shown = false;
    begin(place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== active) return;
    const between = event.getCoalescedEvents?.() ?? [];
    extend((between.length ? between : [event]).map(place));
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(end, (event) => {
      if (event.pointerId === active) active = null;
    });
  }

  canvas.addEventListener("focus", () => {
    cursor.shown = canvas.matches(":focus-visible");
    refresh();
  });
  canvas.addEventListener("blur", () => {
    cursor.shown = cursor.down = false;
    refresh();
  });
  canvas.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key in KEYS) {
      const [x, y] = KEYS[event.key], to = { x: within(cursor.x + x), y: within(cursor.y + y) };
      Object.assign(cursor, to, { shown: true });
      if (cursor.down) extend([at(cursor)]);
      else refresh();
      say(`row ${cursor.y + 1}, column ${cursor.x + 1}`);
    } else if (event.key === " " || event.key === "Enter") {
      cursor.down = !cursor.down;
      cursor.shown = true;
      if (cursor.down) begin(at(cursor));
      else refresh();
      say(cursor.down ? "pen down: arrow keys draw" : "pen up");
    } else if (event.key === "Delete") clear();
    else if (event.key === "Backspace") undo();
    else return;
    event.preventDefault();
  });
  const within = (cell) => Math.min(SIDE - 1, Math.max(0, cell));

  function clear() {
    cursor.down = false;
    become({ image: null, strokes: [] });
  }

  function undo() {
    cursor.down = false;
    if (!past.length) return;
    now = past[past.length - 1];
    past = past.slice(0, -1);
    redraw();
  }

  return {
    clear,
    undo,
    image: () => (now.strokes.length ? null : now.image),
    show: (image) => become({ image, strokes: [] }),
    colour: (css) => {
      colour = css;
      refresh();
    },
    ink: () => {
      if (stale) {
        const { data } = pen.getImageData(0, 0, PAD, PAD);
        for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i + 3] / 255;
        stale = false;
      }
      return ink;
    },
  };
}
