/* Tables of the book: the first rows and then the whole, sorting by a column, copies as CSV and Markdown, and on the
   page of all results a filter. A table without this script, or on paper, stands there whole. */
(() => {
  "use strict";

  const MANY = 10; // rows from which on a table is folded
  const FEW = 5; // rows that are shown of it; more where a group of at most MANY rows ends later
  const SMALL = 3; // rows up to which a table is left alone
  const NUMBER = /^([+\u2212-]?\d[\d,]*(?:\.\d+)?)(.*)$/;
  const INTERVAL = /^([+\u2212-]?[\d.]+) \[([+\u2212-]?[\d.]+), ([+\u2212-]?[\d.]+)\]$/;
  const FILTERS = { page: /^page$/, set: /^((ID|OOD) set|(id|ood)_set|set)$/, detector: /^(detector|method)$/ };

  const make = (tag, properties = {}, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };
  const textOf = (cell) => cell.textContent.replace(/[\s\u00a0]+/g, " ").trim();

  /* What a column is sorted by: numbers (NaN where there is none), texts, or null where units differ in it. */
  function keysOf(texts) {
    const found = texts.map((text) => NUMBER.exec(text));
    const numbers = found.filter(Boolean);
    if (2 * numbers.length < texts.filter(Boolean).length) return texts;
    const units = new Set(numbers.map((parts) => parts[2].replace(/[[(/].*/, "").trim()));
    if (units.size > 1) return null;
    return found.map((parts) => (parts ? Number(parts[1].replace("\u2212", "-").replaceAll(",", "")) : NaN));
  }

  /* Two keys in ascending (1) or descending (-1) order; what has none goes last in both. */
  function compare(a, b, direction) {
    const none = (key) => key === "" || Number.isNaN(key);
    if (none(a) || none(b)) return none(a) - none(b);
    return direction * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
  }

  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const asCsv = (heads, rows) => {
    const columns = heads.flatMap((head, k) => {
      const texts = rows.map((row) => row[k]);
      const split = texts.map((text) => INTERVAL.exec(text));
      if (!split.some(Boolean) || split.some((parts, n) => !parts && texts[n])) return [[head, ...texts]];
      const names = [head, `${head} low`, `${head} high`];
      return names.map((name, part) => [name, ...split.map((parts) => (parts ? parts[part + 1] : ""))]);
    });
    return [heads, ...rows].map((_, n) => columns.map((column) => quoted(column[n])).join(",")).join("\n") + "\n";
  };
  const asMarkdown = (heads, rows) => {
    const line = (cells) => `| ${cells.map((text) => text.replaceAll("|", "\\|")).join(" | ")} |`;
    return [line(heads), line(heads.map(() => "---")), ...rows.map(line)].join("\n") + "\n";
  };

  /* Put a text where it can be pasted from; the second way is for pages whose browser does not offer the first. */
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = make("textarea", { value: text, className: "table-copied" });
      const before = document.activeElement;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      before?.focus();
      return done;
    }
  }

  class Table {
    constructor(table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.rows = [...this.body.rows];
      this.heads = [...table.tHead.rows[0].cells];
      this.names = this.heads.map(textOf);
      this.texts = new Map(this.rows.map((row) => [row, [...row.cells].map(textOf)]));
      this.groups = new Set(); // rows whose first cell is empty: it stands for the name above
      let above = "";
      for (const row of this.rows) {
        const texts = this.texts.get(row);
        if (texts[0]) above = texts[0];
        else if (above) this.groups.add(row);
        texts[0] = above;
      }
      this.about = textOf(table.caption);
      this.order = this.rows;
      this.whole = this.rows.length <= MANY;
      this.hits = null; // rows that a filter asks for
      this.sorted = false;
      this.box = table.closest(".pst-scrollable-table-container") ?? table;
      this.heads.forEach((head, place) => this.offerSort(head, place));
      this.addBar();
      this.draw();
    }

    offerSort(head, place) {
      const keys = keysOf(this.rows.map((row) => this.texts.get(row)[place]));
      if (!keys || new Set(keys).size < 2 || head.querySelector("a")) return;
      const of = new Map(this.rows.map((row, n) => [row, keys[n]]));
      const first = typeof keys[0] === "number" ? -1 : 1;
      const inside = head.querySelector("p") ?? head;
      const button = make("button", { type: "button", className: "table-sort" }, ...inside.childNodes);
      inside.append(button);
      button.addEventListener("click", () => {
        const now = { descending: -1, ascending: 1 }[head.getAttribute("aria-sort")] ?? 0;
        const next = now === 0 ? first : now === first ? -first : 0; // and at last the book's own order
        this.heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next === 1 ? "ascending" : "descending");
        this.order = next ? [...this.rows].sort((a, b) => compare(of.get(a), of.get(b), next)) : this.rows;
        this.sorted = next !== 0;
        this.draw();
      });
    }

    addBar() {
      this.fold = make("button", { type: "button" });
      this.fold.setAttribute("aria-controls", this.table.id);
      this.fold.addEventListener("click", () => {
        this.whole = !this.whole;
        this.draw();
      });
      this.said = make("span", { className: "table-said" });
      this.said.setAttribute("role", "status");
      this.bar = make("div", { className: "table-bar" }, this.fold);
      for (const [name, write] of [["CSV", asCsv], ["Markdown", asMarkdown]]) {
        const button = make("button", { type: "button", textContent: `Copy as ${name}` });
        button.addEventListener("click", async () => {
          const rows = this.order.filter((row) => !this.hits || this.hits.has(row)).map((row) => this.texts.get(row));
          const done = await copy(write(this.names, rows));
          this.said.textContent = done ? `${rows.length} rows copied as ${name}.` : "The browser does not let a page copy.";
        });
        this.bar.append(button);
      }
      this.bar.append(this.said);
      this.box.after(this.bar);
    }

    /* How many rows to show of a folded table. */
    few() {
      const first = (n) => this.texts.get(this.order[n])[0];
      let end = FEW;
      while (end < this.order.length && first(end) === first(end - 1)) end += 1;
      return end <= MANY ? end : FEW;
    }

    draw() {
      const few = this.few();
      const foldable = this.rows.length > MANY;
      const cut = this.whole || this.hits ? this.rows.length : few;
      let above = null;
      this.body.append(...this.order);
      this.order.forEach((row, n) => {
        const missed = this.hits !== null && !this.hits.has(row);
        row.classList.toggle("table-beyond", n >= cut);
        row.classList.toggle("table-missed", missed);
        if (missed) return;
        const name = this.texts.get(row)[0];
        if (this.groups.has(row)) {
          const named = foldable || this.sorted;
          row.cells[0].replaceChildren(named ? make("p", { textContent: name }) : "");
          row.cells[0].classList.toggle("table-again", name === above);
        }
        above = name;
      });
      this.fold.hidden = !foldable || this.hits !== null;
      this.fold.textContent = this.whole ? `First ${few} rows` : `All ${this.rows.length} rows`;
      this.fold.setAttribute("aria-expanded", String(this.whole));
      this.said.textContent = "";
    }

    /* The values of the columns with such a heading, in a row: "near (near, 132)" is "near". */
    values(row, heading) {
      const texts = this.texts.get(row);
      return texts.filter((_, k) => heading.test(this.names[k])).map((text) => text.replace(/ [(⇄].*/, ""));
    }

    /* Show the rows that a test holds for, all of them without one; says how many there are. */
    filter(test) {
      this.hits = test && new Set(this.rows.filter(test));
      this.draw();
      const found = this.hits?.size ?? this.rows.length;
      const fold = this.table.closest(".admonition.table-fold");
      for (const part of [fold ?? this.box, this.bar]) part.classList.toggle("table-missed", !found);
      if (this.hits && found && fold?.classList.contains("toggle-hidden")) fold.querySelector("button")?.click();
      return found;
    }
  }

  /* One filter for all tables of a page: words that a row or its caption has, and selects over some columns. */
  function addFilter(place, tables) {
    const input = make("input", { type: "search", name: "words", autocomplete: "off" });
    const selects = Object.entries(FILTERS).map(([name, heading]) => {
      const values = new Set(tables.flatMap((table) => table.rows.flatMap((row) => table.values(row, heading))));
      const listed = [...values].filter(Boolean).sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
      const any = make("option", { value: "", textContent: "all" });
      const options = listed.map((value) => make("option", { value, textContent: value }));
      return { name, heading, select: make("select", { name }, any, ...options) };
    });
    const said = make("p", { className: "table-found" });
    said.setAttribute("role", "status");
    const fields = selects.map(({ name, select }) => make("label", {}, `${name[0].toUpperCase()}${name.slice(1)} `, select));
    const clear = make("button", { type: "reset", textContent: "Show all" });
    const form = make("form", {}, make("label", {}, "Find in the tables ", input), ...fields, clear);
    form.setAttribute("role", "search");
    form.setAttribute("aria-label", "Tables of this page");
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      const asked = selects.filter(({ select }) => select.value);
      const active = words.length + asked.length > 0;
      const test = (table) => (row) => {
        const text = `${table.texts.get(row).join(" ")} ${table.about}`.toLowerCase();
        return (
          words.every((word) => text.includes(word)) &&
          asked.every(({ heading, select }) => table.values(row, heading).includes(select.value))
        );
      };
      const found = tables.map((table) => [table, table.filter(active ? test(table) : null)]).filter(([, n]) => n);
      const rows = found.reduce((sum, [, n]) => sum + n, 0);
      said.textContent = !active ? "" : rows ? `Rows found: ${rows} (` : "No row of this page has all of that. Ask for less.";
      if (!active || !rows) return;
      found.forEach(([table, n], k) => {
        const name = textOf(table.table.querySelector(".caption-number") ?? table.table.caption);
        said.append(k ? ", " : "", `${n} in `, make("a", { href: `#${table.table.id}`, textContent: name }));
      });
      said.append(").");
    };
    form.addEventListener("input", apply);
    form.addEventListener("reset", () => setTimeout(apply));
    form.addEventListener("submit", (event) => event.preventDefault());
    place.append(form, said);
  }

  const tables = [...document.querySelectorAll('article table[id^="tab-"]')]
    .filter((table) => table.tHead && table.caption && table.tBodies[0].rows.length > SMALL)
    .map((table) => new Table(table));
  document.querySelectorAll(".table-filter").forEach((place) => addFilter(place, tables));
})();
