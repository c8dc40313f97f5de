/* Of boards with words that are written from right to left: every text takes its own direction. */
el = ((make) => (tag, attributes = {}, ...children) =>
  make(tag, ["blockquote", "dd", "li", "p", "span", "td"].includes(tag) ? { dir: "auto", ...attributes } : attributes, ...children))(el);
