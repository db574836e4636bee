// Elements, pauses and marks. Whatever a sample says goes in as text, never as HTML.
const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
};

const number = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");

const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

// Lets the browser paint and take what the reader typed.
const pause = () => (window.scheduler?.yield
  ? window.scheduler.yield()
  : new Promise((resolve) => { setTimeout(resolve); }));

// Puts a text into an element, with what was searched for marked.
const put = (element, text, wanted) => {
  if (!wanted.length) {
    element.textContent = text;
    return element;
  }
  const pattern = wanted.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  text.split(new RegExp(`(${pattern})`, "iu")).forEach((part, place) => {
    if (part) element.append(place % 2 ? make("mark", {}, part) : part);
  });
  return element;
};
