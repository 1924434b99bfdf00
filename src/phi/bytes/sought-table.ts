import type { Sought, SoughtTexts } from "#fhir/json/facts";
import { timeAndAuthorMembers } from "#policy/consent/row-facts";
import { hashOf } from "./name-hash.ts";
import { isSensitiveCode } from "./sensitive-code.ts";

/** The codes, ids and types that decide about the rows of a request, to be found in their bytes. */
export class SoughtTable {
  readonly #labels: boolean;
  /** Hashes: a further text with the hash of one of them counts as that text. */
  readonly #codes: Hashes | undefined;
  readonly #names: Hashes | undefined;

  constructor({ labels, texts }: Sought) {
    this.#labels = labels;
    if (texts.size === 0) return;
    const hashes = [...texts].map(hashesOf);
    this.#codes = new Hashes(hashes.flatMap(({ codes }) => codes));
    this.#names = new Hashes(hashes.flatMap(({ names }) => names));
  }

  /** Answers whether a code between its quotes may decide about its row. */
  mayCode(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#labels && isSensitiveCode(bytes, start, end)) return true;
    if (this.#codes === undefined) return false;
    const hash = codeHash(bytes, start, end);
    return hash === undefined || this.#codes.has(hash);
  }

  /** Answers whether a reference or an id between its quotes may name a resource by which a Consent judges. */
  mayName(bytes: Uint8Array, start: number, end: number): boolean {
    const names = this.#names;
    if (names === undefined) return false;
    let hash = 0;
    for (let at = start; at < end; at += 1) {
      const sign = bytes[at] ?? 0;
      const kind = kinds[sign] ?? odd;
      if (kind === part) hash = (Math.imul(hash, 31) + sign) | 0;
      else {
        if (kind === odd || names.has(hash)) return true;
        hash = 0;
      }
    }
    return names.has(hash);
  }

  /** Answers whether Consents judge a row by a member of this name, of whatever type the row is. */
  readsMember(hash: number): boolean {
    return this.#names !== undefined && members.has(hash);
  }
}

const tables = new WeakMap<Sought, SoughtTable>();

/** The table of the same Consents is made once. */
export function soughtTableOf(sought: Sought): SoughtTable {
  const table = tables.get(sought) ?? new SoughtTable(sought);
  tables.set(sought, table);
  return table;
}

const members: ReadonlySet<number> = new Set([...timeAndAuthorMembers].map(hashOf));

interface TextHashes {
  readonly codes: readonly number[];
  readonly names: readonly number[];
}

// The texts of a Consent are the same object for many requests.
const hashed = new WeakMap<SoughtTexts, TextHashes>();

function hashesOf(texts: SoughtTexts): TextHashes {
  let hashes = hashed.get(texts);
  if (hashes === undefined) {
    hashes = {
      // the code is behind the last bar, or has a bar: see codeHash
      codes: texts.codes.map((code) => codeHashOf(code.slice(code.lastIndexOf("|") + 1))),
      names: texts.names.map(hashOf),
    };
    hashed.set(texts, hashes);
  }
  return hashes;
}

/** Numbers of which few are asked for that are among them: most are told apart by their last bits. */
class Hashes {
  readonly #all: ReadonlySet<number>;
  readonly #some = new Uint8Array(4_096);

  constructor(hashes: readonly number[]) {
    this.#all = new Set(hashes);
    for (const hash of hashes) this.#some[hash & 4_095] = 1;
  }

  has(hash: number): boolean {
    return this.#some[hash & 4_095] === 1 && this.#all.has(hash);
  }
}

/**
 * Signs of ids and types: a reference is such words, between slashes. With an escape, a character outside ASCII, or a
 * spelling of an address another text may be meant.
 */
const part = 1;
const between = 2;
const odd = 3;
const kinds = new Uint8Array(256).fill(between).fill(odd, 0x80);
for (const sign of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.")
  kinds[sign.charCodeAt(0)] = part;
for (const sign of "\\%") kinds[sign.charCodeAt(0)] = odd;

/**
 * The hash of a code in capitals, without dots and without marks at its end (see `icdTextOf`), so that all spellings
 * of one code of ICD-10 have one hash; undefined: it may be the spelling of any code.
 */
function codeHash(bytes: Uint8Array, start: number, end: number): number | undefined {
  let [hash, known] = [0, 0];
  for (let at = start; at < end; at += 1) {
    const sign = bytes[at] ?? 0;
    // a code with a bar may name its system
    if (sign === 0x5c || sign === 0x7c || sign >= 0x80) return undefined;
    if (sign === 0x2e) continue;
    hash = (Math.imul(hash, 31) + (sign >= 0x61 && sign <= 0x7a ? sign - 0x20 : sign)) | 0;
    if (sign !== 0x2d && sign !== 0x2b && sign !== 0x2a && sign !== 0x21) known = hash; // - + * !
  }
  return known;
}

const encoder = new TextEncoder();
/** The code is hashed as `icdTextOf` compares it: a sign beyond ASCII may stand for none, or for a letter of ASCII. */
function codeHashOf(code: string): number {
  const bytes = encoder.encode(code.toUpperCase().replace(/[-+*†!.]+$/u, ""));
  return codeHash(bytes, 0, bytes.length) ?? 0; // each code of a row with such a sign counts as sought
}
