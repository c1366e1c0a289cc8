/* The list of names that count as in: typed, pasted, removed one by one; every change is handed on, one at a time. */

import { make, sentence, several } from "./elements.js";

const MOST = 500;

/** Names from what was typed or pasted: one a line or between commas, without doubles and without empty ones. */
export function namesIn(text) {
  const parts = text.split(/[,;\n\r\t]+/).map((part) => part.normalize("NFC").replace(/\s+/g, " ").trim());
  return [...new Set(parts.filter(Boolean))];
}

/** Old names and new ones; what could not be taken is said. */
export function joined(names, added) {
  const known = new Set(names.map((name) => name.toLowerCase()));
  const fresh = added.filter((name) => !known.has(name.toLowerCase()) && known.add(name.toLowerCase()));
  const room = Math.max(0, MOST - names.length);
  const said = [];
  if (!added.length) said.push("There is no name in that: type one.");
  else if (!fresh.length) said.push(added.length === 1 ? `“${added[0]}” is there already.` : "They are there already.");
  if (fresh.length > room) said.push(`At most ${MOST} names fit: ${several(fresh.length - room, "name")} left out.`);
  return { names: [...names, ...fresh.slice(0, room)], said };
}

/**
 * Start the list.
 *
 * @param {Element} root
 * @param {string[]} defaults
 * @param {(names: string[], told: (text: string) => void) => Promise<{names: string[], notes: string[]}>} apply
 *   What takes a changed list and gives the names that can be used and notes on the others; where it fails, the list
 *   goes back.
 */
export function startNames(root, defaults, apply) {
  const part = (name) => root.querySelector(`.tryit-${name}`);
  const [field, list, notes] = [root.querySelector("#tryit-name"), part("names"), part("notes")];
  let [names, applied, busy] = [[], [], false];

  const say = (...sentences) => (notes.textContent = sentences.filter(Boolean).join(" "));

  function show() {
    part("many").textContent = several(names.length, "name");
    list.replaceChildren(
      ...names.map((name, k) => {
        const remove = make("button", { type: "button", value: k, "aria-label": `Remove ${name}` }, "×");
        return make("li", {}, make("span", { dir: "auto", textContent: name }), remove);
      }),
    );
  }

  /** Hand on what stands there, until nothing has changed meanwhile. */
  async function settle(said = []) {
    say(...said);
    if (busy) return;
    busy = true;
    list.setAttribute("aria-busy", "true");
    try {
      while (names !== applied) {
        const wanted = names;
        const found = await apply(wanted, (text) => say(...said, text));
        applied = wanted;
        // What was left out goes from the list, unless the reader has changed it meanwhile.
        if (names === wanted && found.names.length < wanted.length) {
          names = applied = found.names;
          show();
        }
        say(...said, ...found.notes);
      }
    } catch (error) {
      names = applied;
      show();
      say(sentence(error), "The list is as it was before.");
    } finally {
      busy = false;
      list.setAttribute("aria-busy", "false");
    }
  }

  function change(next, said) {
    names = next;
    show();
    return settle(said);
  }

  function add() {
    const found = joined(names, namesIn(field.value));
    if (found.names.length === names.length) return say(...found.said);
    field.value = "";
    return change(found.names, [`${several(found.names.length - names.length, "name")} added.`, ...found.said]);
  }

  root.querySelector(".tryit-form").addEventListener("submit", (event) => {
    event.preventDefault();
    add();
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    add();
  });
  list.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (!button) return;
    const k = Number(button.value);
    change(names.toSpliced(k, 1), [`“${names[k]}” removed.`]);
    (list.querySelectorAll("button")[Math.min(k, names.length - 1)] ?? field).focus();
  });
  part("defaults").addEventListener("click", () => change([...defaults], ["The names of the book."]));
  part("none").addEventListener("click", () => {
    change([], []);
    field.focus();
  });
  return change([...defaults], []);
}
