import { largest } from "#kernel/largest";
import { memo } from "#kernel/memo";
import { originPatterns } from "#phi/origin-patterns";
import type { Bases } from "#phi/origin-urls";
import { baseNames, type FhirBase } from "#fhir/r4/reference";

/**
 * The classes of a byte inside a JSON string. A string whose bytes are all `plain` or harmless escapes leaves
 * as it is.
 */
export const byteClass = {
  plain: 0,
  quote: 1,
  backslash: 2,
  /** RFC 8259 §7: never inside a string. Bytes behind the text have this class too. */
  control: 3,
  /** The first or a further byte of a character outside ASCII. */
  wide: 4,
  /** `%`, `&` and DEL: the text may have a second reading (see `address-spellings`). */
  suspect: 5,
  /** The rarest character of a needle. */
  needle: 6,
} as const;

/** A part of every text that mentions the origin's address, as lower-case bytes. */
export interface Needle {
  readonly bytes: Uint8Array;
  /** The position of its rarest character, whose class is `needle`. */
  readonly at: number;
}

/** The bytes at which a string of one origin needs a closer look. */
export interface ByteClasses {
  readonly table: Uint8Array;
  readonly needles: readonly Needle[];
}

/** For strings that do not leave: their bytes only have to be valid. */
export const strictClasses: Uint8Array = strictTable();

/**
 * The classes for strings that leave. A string without a byte of class `suspect`, `wide` or `backslash` and
 * without a needle is a string that `originPatterns().suspect` does not match: its mapping is the text itself.
 */
export function byteClassesOf({ origin, public: base }: Bases): ByteClasses {
  if (last?.base !== base || last.origin !== origin)
    last = { base, origin, classes: classesOf([base, ...baseNames(origin)].join(" ")) };
  return last.classes;
}

// A memo joins and hashes its key each time.
let last: { readonly base: string; readonly origin: FhirBase; readonly classes: ByteClasses } | undefined;

// No name of a base has a space in it.
const classesOf = memo(64, (key) => {
  const [base = "", first = "", ...others] = key.split(" ");
  return makeClasses(originPatterns([first, ...others], base).needles);
});

// From rare to frequent in the strings of FHIR resources.
const byRarity = "zqjxkwvfybghupdlmcsnrtiaeo_-~[]:.9876543210/";

function makeClasses(texts: readonly string[]): ByteClasses {
  const table = strictTable();
  for (const sign of "%&\u007f") table[sign.charCodeAt(0)] = byteClass.suspect;
  const needles: Needle[] = [];
  for (const text of texts.map((each) => each.toLowerCase())) {
    // a text with this needle has a suspect byte
    if (/[%&\\]|[^\u0020-\u007e]/u.test(text)) continue;
    const at = rarestOf(text);
    const byte = text.charCodeAt(at);
    needles.push({ bytes: Uint8Array.from(text, (sign) => sign.charCodeAt(0)), at });
    for (const spelling of spellingsOf(byte)) table[spelling] = byteClass.needle;
  }
  return { table, needles };
}

/** Letters count in both cases. */
const spellingsOf = (byte: number) => (byte >= 0x61 && byte <= 0x7a ? [byte, byte - 0x20] : [byte]);

function rarestOf(text: string): number {
  if (text === "" || text.includes('"')) throw new Error("no needle is empty or has a quote");
  const rarities = Array.from(text, (sign) => (byRarity + sign).indexOf(sign));
  return rarities.indexOf(-largest(rarities.map((rarity) => -rarity)));
}

function strictTable(): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(byteClass.control, 0, 0x20);
  table.fill(byteClass.wide, 0x80);
  table[0x22] = byteClass.quote;
  table[0x5c] = byteClass.backslash;
  return table;
}
