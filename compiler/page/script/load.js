// The pieces of JSON go in; the samples and drops come out, each as what the rest needs to know.
const FILES = ["samples", "heldout", "validation", "phase1", "phase2", "phase2 as replay"];
const [SAMPLES, VALIDATION] = [1, 4];

const stateOf = (files) => {
  if (files & VALIDATION) return "kept aside";
  return files & SAMPLES ? "kept" : "held out";
};

const read = (data, piece) => {
  data.keys.push(...piece.keys);
  data.replies.push(...piece.replies);
  data.leaves.push(...piece.leaves);
  data.sources.push(...piece.sources);
  for (const [source, own] of piece.origins) data.origins.push({ ...data.sources[source], ...own });
  for (const [leaf, code, pass, stage, detail, text, replies] of piece.drops) {
    const [name, summary] = data.codes[code] || [code, ""];
    const drop = {
      id: `drop-${data.drops.length}`, state: "dropped", leaf: data.leaves[leaf], code, name, summary, pass, stage, detail, text,
      replies, contributor: data.contributors.get(data.leaves[leaf]) || "", scores: {},
    };
    drop.hay = `${text}\n${detail}\n${drop.leaf}\n${code} ${name}`.toLowerCase();
    data.drops.push(drop);
  }
  for (const line of piece.samples) {
    const [id, leaf, from, files, unmask, parent, said, scores, replies, rejected, rivals] = line;
    const origin = data.origins[from];
    const sample = {
      state: stateOf(files), id, leaf: data.leaves[leaf], origin, files, unmask, parent, said,
      scores, replies, rejected, rivals, contributor: origin.contributor || "",
    };
    const texts = said.filter((_, place) => place % 2);
    sample.hay = `${texts.join("\n")}\n${id}\n${sample.leaf}`.toLowerCase();
    data.places.set(id, data.samples.length);
    data.samples.push(sample);
  }
};

const load = async (step) => {
  const { codes, leaves } = JSON.parse(document.getElementById("books").textContent);
  const data = {
    codes, contributors: new Map(leaves), leaves: [], sources: [], origins: [], keys: [], replies: [],
    drops: [], samples: [], places: new Map(),
  };
  for (const element of document.querySelectorAll("script[data-piece]")) {
    read(data, JSON.parse(element.textContent));
    element.remove();
    step(data.samples.length + data.drops.length);
    await pause();
  }
  data.entries = [...data.samples, ...data.drops];
  return data;
};
