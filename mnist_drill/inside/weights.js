// The weights of a network: in the page itself, or in a script beside it.
import { halfs, valueCount } from "./network.js";
import { element } from "./elements.js";

const loaded = new WeakMap();

/** The values of a network's stored epochs, one after another; the error of what cannot be loaded is one line. */
export async function valuesOf(network) {
  const { name, title, steps, epochs, weights, source } = network;
  if (loaded.has(network)) return loaded.get(network);
  const text = weights ?? (await scriptOf(source, name));
  let values;
  try {
    values = halfs(text);
  } catch {
    throw new Error(`The weights of ${title} are damaged: write the page again.`);
  }
  const count = valueCount(steps), kept = values.length / count;
  if (kept !== 1 && kept !== epochs.length) {
    throw new Error(`The weights of ${title} do not fit the network: ${values.length} values, and an epoch has `
      + `${count}. Write the page again.`);
  }
  loaded.set(network, values);
  return values;
}

// A script, since a page that is opened from the disk may load nothing else.
function scriptOf(source, name) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: source });
    const failed = () => reject(new Error(`${source} cannot be loaded: it has to lie beside this page.`));
    script.onload = () => {
      const text = globalThis.mnistDrillWeights?.[name];
      if (text) resolve(text);
      else failed();
    };
    script.onerror = failed;
    document.head.append(script);
  });
}
