// Ties the parts together: the address after `#samples?` says what is shown, so that links, the
// back button and bookmarks work.
const explore = async () => {
  const section = document.getElementById("samples");
  const one = (selector) => section.querySelector(selector);
  const [form, status, box, story] = ["form", ".status", "[role=listbox]", ".story"].map(one);
  const field = (name) => form.elements[name];
  const names = [...Object.keys(FACETS), "q", "order"];
  section.classList.add("ready");
  const data = await load((count) => { status.textContent = `reading: ${number(count)}`; });
  let turn = 0;
  let wanted = [];
  let filter = {};

  const addressed = () => {
    const [place, query = ""] = location.hash.slice(1).split("?");
    const said = new URLSearchParams(query);
    return place === "samples" ? Object.fromEntries(said) : null;
  };
  const address = (said) => {
    const kept = Object.entries(said).filter(([name, value]) => value && value !== "built" || name === "id" && value);
    const query = new URLSearchParams(kept).toString();
    return `#samples${query ? `?${query}` : ""}`;
  };

  const open = (place, isMeant) => {
    const entry = data.entries[place];
    story.replaceChildren(
      make("button", { type: "button", className: "back" }, "← Back to the list"),
      ...tell(data, entry, wanted));
    story.scrollTop = 0;
    filter.id = entry.id;
    history.replaceState(null, "", address(filter));
    if (isMeant) {
      section.classList.add("telling");
      story.querySelector("h3").focus({ preventScroll: true });
    }
  };
  const back = () => {
    section.classList.remove("telling");
    box.focus({ preventScroll: true });
  };
  const list = new List(box, open);

  const offer = (counts) => {
    for (const name of Object.keys(FACETS)) {
      const [select, chosen] = [field(name), filter[name] || ""];
      const known = [...counts[name]].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).slice(0, 500);
      if (chosen && !known.some(([value]) => value === chosen)) known.push([chosen, 0]);
      const label = (value) => (name === "code" && data.codes[value] ? `${data.codes[value][0]} ${value}` : value);
      select.replaceChildren(new Option(select.dataset.all, ""), ...known.map(([value, count]) =>
        new Option(`${label(value) || "not said"} (${number(count)})`, value)));
      select.value = chosen;
      select.closest("label").classList.toggle("set", Boolean(chosen));
      select.closest("label").hidden = !chosen && known.length < 2;
    }
  };

  const show = async () => {
    turn += 1;
    const mine = turn;
    const result = await search(data.entries, filter, () => mine !== turn);
    if (!result || mine !== turn) return;
    wanted = result.wanted;
    offer(result.counts);
    const at = result.found.findIndex((place) => data.entries[place].id === filter.id);
    list.show(data.entries, result.found, wanted, at);
    const some = names.some((name) => name !== "order" && filter[name]);
    status.textContent = some
      ? `${number(result.found.length)} of ${number(data.entries.length)} match`
      : `${counted(data.entries.length, "sample and drop", "samples and drops")}`;
    one(".clear").hidden = !some;
    one(".nothing").hidden = result.found.length > 0;
    if (at >= 0) open(result.found[at], false);
    else if (result.found.length && matchMedia("(min-width: 901px)").matches) {
      list.at = 0;
      list.drawn = "";
      list.draw();
      story.replaceChildren(make("button", { type: "button", className: "back" }, "← Back to the list"),
        ...tell(data, data.entries[result.found[0]], wanted));
      story.scrollTop = 0;
    } else story.replaceChildren(make("p", { className: "soft" }, "Choose a sample to see its story."));
  };

  const arrive = async () => {
    const said = addressed();
    if (!said && Object.keys(filter).length) return;
    filter = said || {};
    for (const name of ["q", "order"]) field(name).value = filter[name] || (name === "order" ? "built" : "");
    await show();
    if (said) {
      section.classList.toggle("telling", Boolean(filter.id));
      section.scrollIntoView();
    }
  };
  const change = (event) => {
    filter[event.target.name] = event.target.value;
    delete filter.id;
    section.classList.remove("telling");
    history.replaceState(null, "", address(filter));
    show();
  };
  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  one(".clear").addEventListener("click", () => {
    filter = { order: filter.order };
    field("q").value = "";
    history.replaceState(null, "", address(filter));
    field("q").focus();
    show();
  });
  story.addEventListener("click", (event) => { if (event.target.closest(".back")) back(); });
  window.addEventListener("hashchange", arrive);
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, select, textarea");
    if (event.key === "Escape") back();
    else if (event.key === "/" && !isTyping) {
      event.preventDefault();
      field("q").focus();
    } else if (event.key === "ArrowDown" && event.target === field("q")) {
      event.preventDefault();
      box.focus();
      if (list.found.length) list.choose(Math.max(0, list.at), false);
    }
  });
  await arrive();
  section.dataset.ready = "yes";
};

// Tables are sorted by the column whose head is pressed.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const table = head.closest("table");
    const isDown = head.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", isDown ? "descending" : "ascending");
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const compare = (a, b) => (isNaN(a) || isNaN(b) ? String(b).localeCompare(String(a)) : b - a);
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => (isDown ? 1 : -1) * compare(value(a), value(b)));
    table.tBodies[0].append(...rows);
  });
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", explore);
else explore();
