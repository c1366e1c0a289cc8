/* The reader's pictures, the newest first: they are read one after the other, and each has a card. */

import { make, sentence, several } from "./elements.js";
import { PictureCard } from "./picture_card.js";

/**
 * Start the row.
 *
 * @param {Element} root
 * @param {(bitmap: ImageBitmap) => Promise<{features: Float32Array}>} decide  the slow part
 * @param {(card: PictureCard) => void} tell  fills a card that has features
 * @param {() => void} changed  called when pictures came or went
 * @returns the cards (`all()`), those with features (`read()`), and `add`
 */
export function startRow(root, decide, tell, changed) {
  const part = (name) => root.querySelector(`.tryit-${name}`);
  const [status, list, clear] = ["status", "cards", "clear"].map(part);
  let cards = [];
  let waiting = [];
  let working = false;

  function say(card) {
    const verdict = { in: "in", out: "out" }[card.element.dataset.state] ?? "no decision";
    const left = waiting.length ? ` ${several(waiting.length, "picture")} to go.` : "";
    status.textContent = `${card.title}: ${verdict}.${left}`;
  }

  async function read({ card, open }) {
    card.say("wait", "Reading.");
    let bitmap;
    try {
      bitmap = await open();
    } catch (error) {
      return card.say("bad", `${card.title} ${error.message}`);
    }
    try {
      card.picture(bitmap);
      card.features = (await decide(bitmap)).features;
      tell(card);
    } catch (error) {
      card.say("bad", sentence(error));
    } finally {
      bitmap.close();
    }
  }

  /** One at a time, so that the page stays alive and the memory is that of one picture. */
  async function work() {
    if (working) return;
    working = true;
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await read(next);
      if (!cards.includes(next.card)) continue; // taken away meanwhile
      say(next.card);
      changed();
    }
    working = false;
  }

  function remove(card) {
    const at = cards.indexOf(card);
    cards = cards.filter((other) => other !== card);
    waiting = waiting.filter((other) => other.card !== card);
    card.element.remove();
    clear.hidden = !cards.length;
    status.textContent = `${card.title} removed, ${several(cards.length, "picture")} left.`;
    (cards[Math.min(at, cards.length - 1)]?.element.querySelector("button") ?? part("files")).focus();
    changed();
  }

  clear.addEventListener("click", () => {
    [cards, waiting] = [[], []];
    list.replaceChildren();
    clear.hidden = true;
    status.textContent = "All pictures removed.";
    part("files").focus();
    changed();
  });

  return {
    all: () => cards,
    read: () => cards.filter(({ features }) => features),
    /** Put pictures in the row: pairs of a title and a function that opens it. */
    add(pictures) {
      const added = pictures.map(([title, open]) => ({ card: new PictureCard(title, remove), open }));
      cards = [...added.map(({ card }) => card), ...cards];
      list.prepend(...added.map(({ card }) => card.element));
      clear.hidden = !cards.length;
      waiting.push(...added);
      if (added.length > 1) status.textContent = `${several(added.length, "picture")} to read.`;
      return work();
    },
  };
}

/** The ready drawings: one group of buttons a kind, and what a press does. */
export function showDrawings(place, drawings, kinds, press) {
  const button = (drawing) => {
    const image = make("img", { src: drawing.src, alt: "", width: 48, height: 48 });
    return make("button", { type: "button", onclick: () => press(drawing) }, image, make("span", {}, drawing.name));
  };
  const groups = Object.entries(kinds).map(([kind, title]) => {
    const own = drawings.filter((drawing) => drawing.kind === kind).map(button);
    return make("div", { role: "group", "aria-label": title }, make("p", {}, title), ...own);
  });
  place.replaceChildren(...groups);
}

/** Files that are chosen or dropped; one that misses the box must not take the reader away from the page. */
export function takeFiles(root, take) {
  const [input, box] = ["files", "drop"].map((name) => root.querySelector(`.tryit-${name}`));
  const over = (event) => {
    event.preventDefault();
    box.classList.toggle("tryit-over", event.type === "dragover");
  };
  root.addEventListener("dragover", over);
  root.addEventListener("dragleave", over);
  root.addEventListener("drop", (event) => {
    over(event);
    take([...event.dataTransfer.files]);
  });
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
}
