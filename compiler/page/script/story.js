// One entry goes in; its whole story comes out, as `trivium show` tells it.
const short = (hash = "") => make("code", { title: hash }, hash.slice(0, 12));

const facts = (pairs) => make("dl", { className: "facts" }, ...pairs.filter(([, value]) =>
  value !== "" && value !== undefined && value !== null).map(([name, ...values]) =>
  make("div", {}, make("dt", {}, name), make("dd", {}, ...values))));

const text = (content, wanted, className = "text") =>
  put(make("div", { className, dir: "auto" }), content, wanted);

const filesOf = (files) => FILES.filter((_, bit) => files & (1 << bit)).join(", ");

// The raw replies; of what is not on the page it is said where to find it.
const repliesOf = (data, entry, wanted) => {
  if (!entry.replies.length) return [];
  const told = entry.replies.map((place) => {
    const [key, reply] = [data.keys[place], data.replies[place]];
    const head = make("p", { className: "head" }, make("b", {}, "reply "), make("code", {}, key));
    if (!Array.isArray(reply)) {
      head.append(make("span", { className: "soft" }, reply === 0
        ? " – not in the journal that this page was made with" : " – its text is left out here"));
      return make("div", { className: "reply" }, head);
    }
    const [said, finish, asked, written, chances] = reply;
    const notes = [];
    if (asked || written) notes.push(`${number(asked)} tokens of its prompt, ${number(written)} of the reply`);
    if (finish !== "stop") notes.push(`ended by ${finish}`);
    if (chances) {
      const likely = Object.entries(chances).sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
      notes.push(`odds ${likely.map(([token, share]) => `“${token}” ${share.toFixed(3)}`).join(", ")}`);
    }
    return make("div", { className: "reply" }, head, text(said || "(no text)", wanted, "text raw"),
      make("p", { className: "soft" }, notes.join(" · ")));
  });
  const isWhole = entry.replies.every((place) => Array.isArray(data.replies[place]));
  const hint = entry.code ? "trivium journal export" : `trivium show ${entry.id}`;
  const rest = isWhole ? [] : [make("p", { className: "soft" }, "To see all: ", make("code", {}, hint))];
  return [make("h4", {}, `${counted(entry.replies.length, "reply", "replies")}, as they came`), ...told, ...rest];
};

// The sample that a drop's detail names, where it is on the page.
const linked = (data, detail) => {
  const [, before, id] = /^(.*)\(([0-9a-f]{16})\)$/s.exec(detail) || [];
  if (!data.places.has(id)) return [detail];
  return [before, make("a", { href: `#samples?id=${id}` }, id)];
};

const tellDrop = (data, entry, wanted) => [
  make("p", { className: "state dropped" }, "dropped"),
  make("h3", { tabIndex: -1 }, entry.name, " ", make("code", {}, entry.code)),
  make("p", { className: "lead" }, `${entry.summary}.`),
  entry.text ? text(entry.text, wanted) : make("p", { className: "soft" }, "It had no question yet."),
  facts([
    ["why", ...(entry.detail ? linked(data, entry.detail) : [entry.summary])],
    ["dropped by", entry.stage === entry.pass ? entry.pass : `${entry.pass}, at the stage ${entry.stage}`],
    ["leaf", entry.leaf],
    ["contributor", entry.contributor],
    ["more", make("code", {}, `trivium explain ${entry.code}`)],
  ]),
  ...repliesOf(data, entry, wanted),
];

const rivalsOf = (entry, wanted) => {
  if (!entry.rejected) return [];
  const score = (value) => (value === null ? "none" : String(value));
  const lines = (entry.rivals || []).map(([proxy, verified], place) => make("li", {},
    `${place ? "rival" : "this one"}: score ${score(proxy)}, verified ${score(verified)}`));
  return [make("h4", {}, "Chosen over"), ...entry.rejected.map((said) => text(said, wanted, "text raw")),
    ...(lines.length ? [make("ul", {}, ...lines)] : [])];
};

const tellSample = (data, entry, wanted) => {
  const { origin } = entry;
  const said = [];
  for (let place = 0; place < entry.said.length; place += 2) {
    said.push(make("div", { className: `turn ${entry.said[place]}` },
      make("p", { className: "role" }, entry.said[place]), text(entry.said[place + 1], wanted)));
  }
  const isHuman = origin.kind === "seed";
  const range = origin.lines ? `lines ${origin.lines.join(" to ")}`
    : `characters ${origin.start ?? 0} to ${origin.end}`;
  const parent = entry.parent && (data.places.has(entry.parent)
    ? make("a", { href: `#samples?id=${entry.parent}` }, entry.parent) : entry.parent);
  return [
    make("p", { className: "state" }, entry.state),
    make("h3", { tabIndex: -1 }, "Sample ", make("code", {}, entry.id)),
    ...said,
    facts([
      ["in", filesOf(entry.files)],
      ["leaf", `${entry.leaf} (${origin.branch})`],
      ["file", `${origin.file} (blob `, short(origin.blob), ")"],
      ["contributor", origin.contributor],
      ["licences", (origin.licences || []).join(", ") || "none named"],
      ["seeds", (origin.seeds || []).join(", ")],
      ["document", ...(origin.document
        ? [`${origin.document}, ${range} (blob `, short(origin.document_blob), ")"] : [""])],
      ["made by", isHuman ? "a person: it is a seed example" : ""],
      ["pipeline", ...(origin.pipeline
        ? [`${origin.pipeline} (`, make("code", {}, origin.prompts), "), unit ", make("code", {}, origin.unit)] : [""])],
      ["teacher", origin.teacher],
      ["judge", origin.judge],
      ["parent", ...(parent ? [parent, `, ${origin.generation} generations from people`] : [""])],
      ...(origin.drawn || []).map((drawn) => ["drawn", drawn.replace("=", ": ")]),
      ["language", origin.language],
      ["whole text is learned", entry.unmask ? "yes" : ""],
      ...Object.entries(entry.scores).map(([name, value]) => [name.replaceAll("_", " "), String(value)]),
    ]),
    ...rivalsOf(entry, wanted),
    ...repliesOf(data, entry, wanted),
    make("p", { className: "soft last" }, "The same in a terminal: ", make("code", {}, `trivium show ${entry.id}`)),
  ];
};

const tell = (data, entry, wanted) =>
  (entry.code ? tellDrop(data, entry, wanted) : tellSample(data, entry, wanted));
