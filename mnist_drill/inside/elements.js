// Elements of a page, made in one expression.

/** An element with attributes and children; text is never read as HTML. */
export function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Changes the text of an element, if it is another. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, if it has another value. */
export function attribute(node, name, value) {
  if (node.getAttribute(name) !== `${value}`) node.setAttribute(name, value);
}

/** A button that does something. */
export function button(text, does, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", does);
  return made;
}

/** Radio buttons that look like one switch; `choose` is given the value of the one that is chosen. */
export function choices(legend, options, chosen, choose) {
  const name = `drill-${Math.random().toString(36).slice(2)}`;
  const labels = options.map(({ value, label, note }) => {
    const radio = element("input", { type: "radio", name, value });
    radio.checked = value === chosen;
    radio.addEventListener("change", () => choose(value));
    return element("label", {}, radio, element("span", {}, element("b", {}, label), element("small", {}, note)));
  });
  return element("fieldset", { class: "choices" }, element("legend", {}, legend), ...labels);
}

/**
 * Whether the page around is dark: JupyterLab, VS Code, Colab and book themes say so in attributes, of this document or
 * of the one whose frame this is; else the system's setting counts. `tell` is called now and at each change.
 */
export function followTheme(tell) {
  const documents = [document];
  try {
    if (window.parent !== window) documents.push(window.parent.document);
  } catch {
    // a frame of another origin
  }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const said = () => {
    for (const { body, documentElement: root } of documents) {
      if (body?.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false";
      const words = [root.getAttribute("theme"), root.dataset.theme, body?.dataset.theme, body?.className].join(" ");
      if (/\b(vscode-dark|vscode-high-contrast|dark)\b/.test(words)) return true;
      if (/\b(vscode-light|light)\b/.test(words)) return false;
    }
    return system.matches;
  };
  let dark = null;
  const look = () => {
    if (said() !== dark) tell((dark = said()));
  };
  const watcher = new MutationObserver(look);
  for (const { body, documentElement } of documents) {
    for (const each of [body, documentElement]) watcher.observe(each, { attributes: true });
  }
  system.addEventListener("change", look);
  look();
  return () => {
    watcher.disconnect();
    system.removeEventListener("change", look);
  };
}
