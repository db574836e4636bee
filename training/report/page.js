"use strict";
// Shows the samples and the drops that match; text goes in by textContent only.
const PAGE = 10;
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
};
const entry = (row) => {
  const box = make("article", "entry", "");
  const list = make("dl", "", "");
  list.append(make("dt", "", "leaf"), make("dd", "path", row.leaf));
  for (const [label, text] of row.texts) {
    const words = make("dd", "text", text);
    words.dir = "auto";
    list.append(make("dt", "", label), words);
  }
  box.append(list, make("p", "origin", row.facts.map(([k, v]) => `${k}: ${v}`).join(" · ")));
  return box;
};
for (const box of document.querySelectorAll("[data-rows]")) {
  const rows = JSON.parse(document.getElementById(box.dataset.rows).textContent);
  const haystacks = rows.map((row) =>
    [row.leaf, ...row.texts.flat(), ...row.facts.flat()].join("\n").toLowerCase());
  const [words, leaf] = box.querySelectorAll("input, select");
  const [count, list, more] = [".count", ".list", ".more"].map((s) => box.querySelector(s));
  for (const name of [...new Set(rows.map((row) => row.leaf))].sort()) {
    leaf.append(new Option(name, name));
  }
  let shown = PAGE;
  const show = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row, i) =>
      (!leaf.value || row.leaf === leaf.value) && wanted.every((w) => haystacks[i].includes(w)));
    list.replaceChildren(...found.slice(0, shown).map(entry));
    count.textContent = `${Math.min(shown, found.length)} of ${found.length} shown`;
    more.hidden = shown >= found.length;
  };
  const again = () => { shown = PAGE; show(); };
  words.addEventListener("input", again);
  leaf.addEventListener("change", again);
  more.addEventListener("click", () => { shown += 2 * PAGE; show(); });
  box.hidden = false;
  show();
}
