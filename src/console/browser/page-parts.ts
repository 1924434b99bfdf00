import { momentText } from "#console/words";

/** Makes an element with texts and children. Texts stay texts: nothing is parsed as HTML. */
export function make(
  name: string,
  attributes: Readonly<Record<string, string>> = {},
  ...children: (PageElement | string)[]
): PageElement {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** A moment that stays on a line. */
export const moment = (at: number): PageElement => make("time", {}, momentText(at));

/** A row of a table whose cells have the names of their columns, for the cards of a phone. */
export const row = (heads: readonly string[], cells: readonly (PageElement | string)[]): PageElement =>
  make(
    "tr",
    {},
    ...cells.map((cell, i) =>
      make(i === 0 ? "th" : "td", { "data-head": heads[i] ?? "", ...(i === 0 && { scope: "row" }) }, cell),
    ),
  );

/** A table with a caption for screen readers. */
export const table = (caption: string, heads: readonly string[], rows: readonly PageElement[]): PageElement =>
  make(
    "table",
    {},
    make("caption", { class: "unseen" }, caption),
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows),
  );

export const badge = (tone: "good" | "warn" | "bad" | "still", text: string): PageElement =>
  make("span", { class: `badge ${tone}` }, text);

/** Shows a sentence in a banner, which screen readers announce. */
export function announce(banner: PageElement, tone: "good" | "warn" | "bad" | "still", text: string): void {
  banner.className = `alert ${tone}`;
  banner.replaceChildren(text);
}

/** The element with this selector, which the page has. */
export function part(selector: string, within: PageElement | PageDocument = document): PageElement {
  const found = within.querySelector(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}

/** Saves a file that the page made: it is sent nowhere. */
export function saveFile(name: string, type: string, parts: readonly (string | Blob)[]): void {
  const address = URL.createObjectURL(new Blob([...parts], { type }));
  make("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
