import { r4HtmlAttributes, r4HtmlElements } from "./r4-structure.gen.ts";

const elements: ReadonlySet<string> = new Set(r4HtmlElements.split(" "));
// `xml:lang` is what XML writes for `lang`, and HL7's own examples have it.
const attributes: ReadonlySet<string> = new Set([...r4HtmlAttributes.split(" "), "xmlns", "xml:lang"]);
const links: ReadonlySet<string> = new Set(["href", "src", "cite", "longdesc"]);

/**
 * Whether a narrative's `div` is well-formed XML of the elements and attributes that R4 allows (Narrative txt-1), with something to see in it
 * (txt-2). An allow-list: no script, event, form, frame, comment, CDATA, declaration or entity of HTML can be in it, no link but to a
 * harmless scheme, no style that loads or runs. Where HTML's and XML's parsers would read a text in two ways, it is refused.
 */
export function isHarmlessXhtml(text: string): boolean {
  const open: string[] = [];
  let [at, shows] = [0, false];
  while (at < text.length) {
    const next = text.indexOf("<", at);
    const run = text.slice(at, next === -1 ? text.length : next);
    if (!isCharacterData(run) || run.includes("]]>")) return false;
    const isBlank = run.trim() === "";
    if (open.length === 0 && !isBlank) return false;
    shows ||= !isBlank;
    if (next === -1) break;
    // A second root, or something that is not div around all.
    if (open.length === 0 && (shows || !text.startsWith("<div", next) || text.slice(0, next).trim() !== "")) return false;
    const tag = readTag(text, next);
    if (tag === undefined) return false;
    shows ||= tag.isImage;
    if (tag.kind === "close" && open.pop() !== tag.name) return false;
    if (tag.kind === "open") open.push(tag.name);
    at = tag.end;
    if (open.length === 0) return shows && text.slice(at).trim() === "";
  }
  return false;
}

interface Tag {
  readonly kind: "open" | "close" | "empty";
  readonly name: string;
  readonly isImage: boolean;
  readonly end: number;
}

const opening = /<(?<name>[a-z][a-z0-9]*)/uy;
const closing = /<\/(?<name>[a-z][a-z0-9]*)\s*>/uy;
const attribute = /\s+(?<name>[a-z][a-z:]*)\s*=\s*(?:"(?<double>[^"<]*)"|'(?<single>[^'<]*)')/uy;
const ending = /\s*(?<slash>\/?)>/uy;

function readTag(text: string, at: number): Tag | undefined {
  const close = matchAt(closing, text, at);
  if (close !== null) return { kind: "close", name: close.groups?.["name"] ?? "", isImage: false, end: closing.lastIndex };
  const name = matchAt(opening, text, at)?.groups?.["name"];
  if (name === undefined || !elements.has(name)) return undefined;
  let end = opening.lastIndex;
  const seen = new Set<string>();
  for (let found = matchAt(attribute, text, end); found !== null; found = matchAt(attribute, text, end)) {
    const { name: own = "", double, single = "" } = found.groups ?? {};
    if (seen.has(own) || !isHarmless(name, own, double ?? single)) return undefined;
    seen.add(own);
    end = attribute.lastIndex;
  }
  const last = matchAt(ending, text, end);
  if (last === null) return undefined;
  const kind = last.groups?.["slash"] === "/" ? "empty" : "open";
  return { kind, name, isImage: name === "img" && seen.has("src"), end: ending.lastIndex };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const schemes = /^(?:https?|mailto|tel|ftp|urn)$/u;
const image = /^data:image\/(?:png|jpe?g|gif|webp);/iu; // not SVG: it can hold a script

function isHarmless(element: string, name: string, written: string): boolean {
  if (!attributes.has(name) || !isCharacterData(written)) return false;
  const value = decoded(written);
  if (name === "xmlns") return value === "http://www.w3.org/1999/xhtml";
  // Comments and escapes of CSS may spell any of the words in a way that this does not see.
  if (name === "style") return !/url\s*\(|expression|import|behaviou?r|binding|[\\@]|\/\*/iu.test(value);
  if (!links.has(name)) return true;
  if (/^data:/iu.test(value)) return element === "img" && name === "src" && image.test(value);
  // A browser passes over controls and white space when it looks for the scheme.
  // oxlint-disable-next-line no-control-regex -- this is what it passes over
  const scheme = /^(?<scheme>[^/?#:]*):/u.exec(value.replaceAll(/[\u0000-\u0020]+/gu, ""))?.groups?.["scheme"];
  return scheme === undefined || schemes.test(scheme.toLowerCase());
}

/** Text with no entity but XML's own (FHIR R4 §2.4.1: none of HTML's) and no character that XML lacks. */
const isCharacterData = (text: string) =>
  // oxlint-disable-next-line no-control-regex -- these are the ones that XML lacks
  !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/u.test(text) &&
  !/&(?!(?:lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)/u.test(text) &&
  [...text.matchAll(/&#(?<code>x?[0-9A-Fa-f]+);/gu)].every(({ groups }) => isXmlCharacter(codeOf(groups?.["code"] ?? "")));

const codeOf = (digits: string) => (digits.startsWith("x") ? Number.parseInt(digits.slice(1), 16) : Number(digits));
// XML 1.0, production 2.
const isXmlCharacter = (code: number) =>
  code === 9 ||
  code === 10 ||
  code === 13 ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x1_0000 && code <= 0x10_ffff);

const named: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const decoded = (text: string) =>
  text.replaceAll(/&(?:#(?<code>x?[0-9A-Fa-f]+)|(?<name>[a-z]+));/gu, (_all, code: string | undefined, name: string | undefined) =>
    code === undefined ? (named[name ?? ""] ?? "") : String.fromCodePoint(codeOf(code)),
  );
