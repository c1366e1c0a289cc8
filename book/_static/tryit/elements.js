/* Elements of the page, and sentences on it. Names and file names come in as text only, never as HTML. */

/** An element with some properties, attributes (those with a dash, and `role`) and contents. */
export function make(tag, properties = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...inside);
  return element;
}

/** "1 picture", "2,000 pictures". The browser's own way to write numbers takes longer to start than all scores. */
export const several = (n, thing) => `${String(n).replace(/\B(?=(\d{3})+$)/g, ",")} ${thing}${n === 1 ? "" : "s"}`;

/** Megabytes for readers: one decimal. */
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)}\u00a0MB`;

/** Numbers as cards show them: three digits, a true minus; what is text already stays. */
export function shown(value) {
  if (typeof value !== "number") return String(value);
  const digits = Math.abs(value) >= 1 || value === 0 ? value.toPrecision(3) : value.toFixed(3);
  return digits.replace("-", "\u2212");
}

/** What went wrong, as a sentence that says what to do. */
export function sentence(error) {
  if (/memory|allocat/i.test(error.message))
    return "The browser has too little memory for this: close other pages and try again.";
  if (error instanceof TypeError && /fetch|network|load/i.test(error.message))
    return "A file could not be loaded: the connection is gone. Try again.";
  return /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
}
