import { r4HtmlAttributes, r4HtmlElements } from "#fhir/r4/structure.gen";

let allowed: ReadonlySet<string> | undefined; // settled by the first narrative

/** `<a` for an element, `href` for an attribute. `xml:lang` is XML's name for `lang`, and HL7's own examples have it. */
const isAllowed = (name: string): boolean =>
  (allowed ??= new Set([
    ...r4HtmlElements.split(" ").map((element) => `<${element}`),
    ...r4HtmlAttributes.split(" "),
    "xmlns",
    "xml:lang",
  ])).has(name);
const links: ReadonlySet<string> = new Set(["href", "src", "cite", "longdesc"]);

/**
 * True if a narrative's `div` is well-formed XML with only the elements and attributes that R4 allows
 * (Narrative txt-1). The lists are allow-lists: no script, event, form, frame, CDATA, declaration or HTML
 * entity passes, no link with a harmful scheme, and no style that loads or runs anything. If HTML and XML
 * parsers would read a text differently, it is refused. A blank div passes, against txt-2: HL7's own
 * examples have it.
 */
export function isHarmlessXhtml(text: string): boolean {
  const open: string[] = [];
  let at = text.search(/\S/u);
  if (!text.startsWith("<div", Math.max(at, 0))) return false;
  while (at < text.length) {
    const next = text.indexOf("<", at);
    const run = text.slice(at, next);
    if (next === -1 || !isCharacterData(run) || run.includes("]]>")) return false;
    const end = text.startsWith("<!--", next) ? endOfComment(text, next) : endOfTag(text, next, open);
    if (end === undefined) return false;
    at = end;
    if (open.length === 0) return text.slice(at).trim() === "";
  }
  return false;
}

function endOfComment(text: string, at: number): number | undefined {
  const end = text.indexOf("-->", at + 4);
  // No characters that could end the comment early, or begin a conditional comment, in an HTML parser.
  return end === -1 || /[<>[\]]|--|-$/u.test(text.slice(at + 4, end)) ? undefined : end + 3;
}

const opening = /<(?<name>[a-z][a-z0-9]*)/uy;
const closing = /<\/(?<name>[a-z][a-z0-9]*)\s*>/uy;
const attribute = /\s+(?<name>[a-z][a-z:]*)\s*=\s*(?:"(?<double>[^"<]*)"|'(?<single>[^'<]*)')/uy;
const ending = /\s*(?<slash>\/?)>/uy;

/** Reads a tag, and updates the list of open elements. */
function endOfTag(text: string, at: number, open: string[]): number | undefined {
  const close = matchAt(closing, text, at);
  if (close !== null) return open.pop() === close.groups?.["name"] ? closing.lastIndex : undefined;
  const name = matchAt(opening, text, at)?.groups?.["name"];
  if (name === undefined || !isAllowed(`<${name}`)) return undefined;
  let end = opening.lastIndex;
  const seen = new Set<string>();
  for (let found = matchAt(attribute, text, end); found !== null; found = matchAt(attribute, text, end)) {
    const { name: attributeName = "", double, single = "" } = found.groups ?? {};
    if (seen.has(attributeName) || !isHarmless(name, attributeName, double ?? single)) return undefined;
    seen.add(attributeName);
    end = attribute.lastIndex;
  }
  const last = matchAt(ending, text, end);
  if (last === null) return undefined;
  if (last.groups?.["slash"] !== "/") open.push(name);
  return ending.lastIndex;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

const schemes = /^(?:https?|mailto|tel|ftp|urn)$/u;
// No SVG: it can contain a script. The white space comes from HL7's own publisher.
const image = /^data:\s*image\/(?:png|jpe?g|gif|webp);/iu;
const ownImage = /url\(\s*data:\s*image\/(?:png|jpe?g|gif|webp);base64,[A-Za-z0-9+/=\s]*\)/giu;

function isHarmless(element: string, name: string, written: string): boolean {
  if (!isAllowed(name) || !isCharacterData(written)) return false;
  const value = decoded(written);
  if (name === "xmlns") return value === "http://www.w3.org/1999/xhtml";
  // CSS comments and escapes may spell these words in a form that this check does not see.
  if (name === "style")
    return !/url\s*\(|expression|import|behaviou?r|binding|[\\@]|\/\*/iu.test(value.replaceAll(ownImage, ""));
  if (!links.has(name)) return true;
  if (/^data:/iu.test(value)) return element === "img" && name === "src" && image.test(value);
  // A browser ignores controls and white space when it looks for the scheme.
  // oxlint-disable-next-line no-control-regex -- browsers ignore these characters
  const scheme = /^(?<scheme>[^/?#:]*):/u.exec(value.replaceAll(/[\u0000-\u0020]+/gu, ""))?.groups?.[
    "scheme"
  ];
  return scheme === undefined || schemes.test(scheme.toLowerCase());
}

/**
 * Text with no entity except XML's own (FHIR R4 §2.4.1: no HTML entity) and no character that XML lacks.
 */
const isCharacterData = (text: string) =>
  // oxlint-disable-next-line no-control-regex -- XML lacks these characters
  !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/u.test(text) &&
  !/&(?!(?:lt|gt|amp|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)/u.test(text) &&
  [...text.matchAll(/&#(?<code>x?[0-9A-Fa-f]+);/gu)].every(({ groups }) =>
    isXmlCharacter(codeOf(groups?.["code"] ?? "")),
  );

const codeOf = (digits: string) =>
  digits.startsWith("x") ? Number.parseInt(digits.slice(1), 16) : Number(digits);
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
  text.replaceAll(
    /&(?:#(?<code>x?[0-9A-Fa-f]+)|(?<name>[a-z]+));/gu,
    (_all, code: string | undefined, name: string | undefined) =>
      code === undefined ? (named[name ?? ""] ?? "") : String.fromCodePoint(codeOf(code)),
  );
