// Entries and a filter go in; those that match come out, in slices, so that typing never waits.
const SLICE = 8; // milliseconds
const UNSURE = 0.6;

const odds = (entry) => Object.entries(entry.scores)
  .filter(([name]) => name.endsWith("_odds")).map(([, value]) => value);

const scored = (entry) => {
  if (entry.scored) return entry.scored;
  const found = Object.entries(entry.scores).filter(([name, value]) =>
    !name.endsWith("_odds") && (typeof value === "string" || Number.isInteger(value)))
    .map(([name, value]) => `${name} is ${value}`);
  if (odds(entry).some((value) => value < UNSURE)) found.push("a judge was unsure");
  entry.scored = found;
  return found;
};

// What entries can be filtered by: the values that an entry has.
const FACETS = {
  state: (entry) => [entry.state],
  leaf: (entry) => [entry.leaf],
  code: (entry) => (entry.code ? [entry.code] : []),
  pass: (entry) => (entry.pass ? [entry.pass] : []),
  contributor: (entry) => [entry.contributor],
  pipeline: (entry) => (entry.origin ? [entry.origin.pipeline || "a person"] : []),
  score: scored,
  generation: (entry) => (entry.origin ? [String(entry.origin.generation ?? 0)] : []),
};

const length = (entry) => (entry.said ? entry.said[entry.said.length - 1].length : entry.text.length);
const lowest = (entry) => Math.min(2, ...odds(entry));
const ORDERS = {
  built: null,
  unsure: (a, b) => lowest(a) - lowest(b),
  longest: (a, b) => length(b) - length(a),
  shortest: (a, b) => length(a) - length(b),
};

// Words, and phrases in quotation marks, in lower case.
const wordsOf = (text) => [...text.toLowerCase().matchAll(/"([^"]+)"|[^\s"]+/g)]
  .map(([whole, phrase]) => phrase || whole);

// The places of what matches, and how many there would be for each value of each facet: of what
// matches but for that facet. Nothing where `isStale` says that nobody waits any more.
const search = async (entries, filter, isStale) => {
  const wanted = wordsOf(filter.q || "");
  const names = Object.keys(FACETS);
  const counts = Object.fromEntries(names.map((name) => [name, new Map()]));
  const found = [];
  const add = (name, values) => values.forEach((value) =>
    counts[name].set(value, (counts[name].get(value) || 0) + 1));
  let start = performance.now();
  for (let place = 0; place < entries.length; place += 1) {
    if (place % 256 === 255 && performance.now() - start > SLICE) {
      await pause();
      if (isStale()) return null;
      start = performance.now();
    }
    const entry = entries[place];
    if (!wanted.every((word) => entry.hay.includes(word))) continue;
    let failed = "";
    let failures = 0;
    for (const name of names) {
      if (filter[name] && !FACETS[name](entry).includes(filter[name])) {
        failed = name;
        failures += 1;
        if (failures > 1) break;
      }
    }
    if (failures === 0) {
      found.push(place);
      names.forEach((name) => add(name, FACETS[name](entry)));
    } else if (failures === 1) add(failed, FACETS[failed](entry));
  }
  const order = ORDERS[filter.order];
  if (order) found.sort((a, b) => order(entries[a], entries[b]) || a - b);
  return { found, counts, wanted };
};
