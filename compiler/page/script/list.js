// Places of entries go in; a list box that holds only what is in sight comes out.
const TALL = 76; // pixels of an entry, as in the style
const BEYOND = 6; // entries above and below what is in sight

const excerpt = (entry, wanted) => {
  const text = entry.said ? entry.said[1] ?? "" : entry.text || entry.detail;
  const first = text.toLowerCase().indexOf(wanted[0] ?? "\u0000");
  const start = first > 90 ? first - 40 : 0;
  return (start ? "… " : "") + text.slice(start, start + 220).replace(/\s+/g, " ");
};

class List {
  constructor(box, open) {
    this.box = box;
    this.open = open;
    this.sheet = box.appendChild(make("div", { className: "sheet", role: "presentation" }));
    this.found = [];
    this.wanted = [];
    this.at = -1;
    this.drawn = "";
    box.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    new ResizeObserver(() => this.draw()).observe(box);
    box.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.choose(Number(option.dataset.at), true);
    });
    box.addEventListener("keydown", (event) => this.key(event));
  }

  show(entries, found, wanted, at) {
    Object.assign(this, { entries, found, wanted, at, drawn: "" });
    this.sheet.style.height = `${found.length * TALL}px`;
    this.box.scrollTop = Math.max(0, at * TALL - this.box.clientHeight / 3);
    this.draw();
  }

  key(event) {
    const inSight = Math.max(1, Math.floor(this.box.clientHeight / TALL) - 1);
    const step = {
      ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: inSight, PageUp: -inSight,
      Home: -this.found.length, End: this.found.length,
    }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !this.found.length) return;
    if (event.key === "Enter" && this.at >= 0) this.open(this.found[this.at], true);
    else if (step === undefined) return;
    else this.choose(Math.min(this.found.length - 1, Math.max(0, this.at + step)), false);
    event.preventDefault();
  }

  choose(at, isMeant) {
    this.at = at;
    const top = at * TALL;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    const lowest = top + TALL - this.box.clientHeight;
    if (lowest > this.box.scrollTop) this.box.scrollTop = lowest;
    this.drawn = "";
    this.draw();
    this.open(this.found[at], isMeant);
  }

  draw() {
    const { scrollTop, clientHeight } = this.box;
    const first = Math.max(0, Math.floor(scrollTop / TALL) - BEYOND);
    const last = Math.min(this.found.length, Math.ceil((scrollTop + clientHeight) / TALL) + BEYOND);
    if (this.drawn === `${first} ${last}`) return;
    this.drawn = `${first} ${last}`;
    const options = [];
    for (let at = first; at < last; at += 1) options.push(this.option(at));
    this.sheet.replaceChildren(...options);
    const isInSight = this.at >= first && this.at < last;
    if (isInSight) this.box.setAttribute("aria-activedescendant", `option-${this.at}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  option(at) {
    const entry = this.entries[this.found[at]];
    const words = put(make("span", { className: "excerpt", dir: "auto" }),
      excerpt(entry, this.wanted), this.wanted);
    const why = entry.code ? `${entry.name} · ` : "";
    const said = `${why}${entry.state === "kept" || entry.code ? "" : `${entry.state} · `}`;
    const option = make("div", {
      role: "option", id: `option-${at}`, className: `option ${entry.code ? "dropped" : "stays"}`,
      "aria-selected": String(at === this.at), "aria-setsize": String(this.found.length),
      "aria-posinset": String(at + 1),
    }, words, make("span", { className: "place" }, make("b", {}, said), entry.leaf));
    option.dataset.at = at;
    option.style.transform = `translateY(${at * TALL}px)`;
    return option;
  }
}
