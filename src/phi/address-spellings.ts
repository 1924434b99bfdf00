import { normalForm } from "#kernel/normal-form";

/** Characters that give a text more than one reading, so that a plain comparison is not enough. */
export const notPlain = /[%&\\]|[^\u0020-\u007e]/u;

/**
 * Answers whether an address occurs in a text, or in the text as JSON, a URL or HTML would decode it, up to
 * three times over.
 *
 * @param address pattern for lower-case text.
 * @param except a similar text that is permitted, in lower case.
 */
export function spells(text: string, address: RegExp, except: string): boolean {
  let reading = folded(text);
  for (let times = 0; times < 4; times++) {
    // `\` separates like `/` (WHATWG URL §4.4)
    if (address.test(reading.replaceAll("\\", "/").replaceAll(except, ""))) return true;
    const next = folded(decoded(reading));
    if (next === reading) return false;
    reading = next;
  }
  return false;
}

// The host of a URL as it is read (UTS 46): wide forms become plain forms, invisible characters disappear.
const folded = (text: string) =>
  /[^\u0020-\u007e]/u.test(text)
    ? normalForm(text, "NFKC")
        .replaceAll("\u3002", ".")
        .replaceAll(/[\u00ad\u200b-\u200d\u2060\ufeff\t\r\n]/gu, "")
        .toLowerCase()
    : text.toLowerCase();

const namedSigns: Readonly<Record<string, string>> = {
  colon: ":",
  sol: "/",
  period: ".",
  lsqb: "[",
  rsqb: "]",
  lbrack: "[",
  rbrack: "]",
  amp: "&",
};

const utf8 = (hex: readonly string[]) =>
  new TextDecoder().decode(Uint8Array.from(hex, (byte) => Number.parseInt(byte, 16)));

const decoded = (text: string) =>
  text
    .replaceAll(
      /\\(?:u(?<hex>[0-9a-f]{4})|(?<sign>[/\\]))/gu,
      (_, hex: string | undefined, sign: string | undefined) =>
        hex === undefined ? (sign ?? "") : String.fromCodePoint(Number.parseInt(hex, 16)),
    )
    .replaceAll(/(?:%[0-9a-f]{2})+/gu, (bytes) => utf8(bytes.split("%").slice(1)))
    .replaceAll(
      /&#(?:x(?<hex>[0-9a-f]{1,6})|(?<digits>\d{1,7}));?/gu,
      (_, hex: string | undefined, digits: string | undefined) =>
        String.fromCodePoint(
          Math.min(0x10ffff, hex === undefined ? Number(digits) : Number.parseInt(hex, 16)),
        ),
    )
    .replaceAll(/&(?<name>[a-z]{3,6});/gu, (whole, name: string) => namedSigns[name] ?? whole);
