// The vocabulary, whose features came along: looked up by name, and which outlier words a list of names leaves.

/** A name with single spaces. */
export const tidy = (name) => name.split(/\s+/u).filter(Boolean).join(" ");

const PLAIN = /^[!-~]+( [!-~]+)*$/; // nearly all of the vocabulary: tidy, and without accents

/** What the text tower makes no difference between: upper and lower case, accents. */
export function read(name) {
  const bare = PLAIN.test(name) ? name : tidy(name).normalize("NFD").replace(/\p{Mn}/gu, "");
  return bare.toLowerCase();
}

/** What looks the same: also the width of letters, hyphens, and what is not seen. */
const seen = (name) => normal(name.normalize("NFKC").replace(/\p{Cf}/gu, ""));

/** WordNet's form, as `oodlib.datasets.wordnet.normal`. */
const normal = (name) => name.replace(/[\s_-]+/gu, " ").trim().toLowerCase();

const LONGEST = 200;
const DOUBTFUL = /^(nan|none|null|n\/a|unknown|background|[+-]?\d+(\.\d*)?)$/i;

export class Vocabulary {
  constructor({ words, outliers, same, labels, kinds }, { text, no, prototypes, pictures }) {
    Object.assign(this, { words, outliers, labels, kinds, text, no, prototypes, pictures });
    this.places = new Map();
    this.reads = words.map(read);
    this.reads.forEach((one, k) => this.places.has(one) || this.places.set(one, k));
    // By outlier word all names that mean the same, in WordNet's form.
    this.meanings = same.map((others, k) => [normal(words[k]), ...(others ? others.split(";") : [])]);
  }

  /** Its place in the vocabulary, or undefined. */
  find(name) {
    return this.places.get(read(name));
  }

  /** The places of the outlier words that name none of these classes, nor are read as one. */
  untaken(names) {
    const [forms, reads] = [new Set(names.map(normal)), new Set(names.map(read))];
    const places = Array.from({ length: this.outliers }, (_, k) => k);
    return places.filter((k) => !this.meanings[k].some((name) => forms.has(name)) && !reads.has(this.reads[k]));
  }
}

/** Which of the names that were typed can be used, and sentences about the others. */
export function checkNames(typed) {
  const notes = [];
  const names = [];
  const [looks, reads] = [new Map(), new Map()];
  for (const name of typed.map(tidy).filter((one) => /[^\p{C}\p{Z}]/u.test(one))) {
    const [look, reading] = [seen(name), read(name)];
    if (looks.has(look)) continue; // the same name twice
    if (name.length > LONGEST) {
      notes.push(`“${name.slice(0, 20)} …” has more than ${LONGEST} characters and is left out.`);
    } else if (reads.has(reading)) {
      notes.push(`The model cannot tell “${name}” from “${reads.get(reading)}”: only the second is used.`);
    } else {
      looks.set(look, name);
      reads.set(reading, name);
      names.push(name);
    }
  }
  const doubtful = names.filter((name) => DOUBTFUL.test(name));
  if (doubtful.length) {
    const said = doubtful.slice(0, 3).map((name) => `“${name}”`).join(", ");
    notes.push(`${said} looks like a number or a missing value and counts as a name here.`);
  }
  return { names, notes };
}
