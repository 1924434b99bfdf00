import { baseNames, type FhirBase } from "#fhir/r4/reference";

import { memo } from "#kernel/memo";
import { spells } from "./address-spellings.ts";
import { originPatterns } from "./origin-patterns.ts";

/**
 * The two addresses of one FHIR base: the origin's, of whose names none leaves (P8), and the gateway's,
 * without a trailing slash.
 */
export interface Bases {
  readonly origin: FhirBase;
  readonly public: string;
}

/**
 * Takes the origin's address out of the strings of a resource. Below the origin's FHIR base a URL becomes the
 * gateway's in all of them; they differ in what becomes of any other URL of its host. A string whose address
 * only a decoder sees does not leave: `undefined`.
 */
export interface OriginUrls {
  /**
   * Free text: it becomes the gateway's base, wherever it stands, percent-encoded or without its scheme too.
   */
  readonly inText: (text: string) => string | undefined;
  /** What is there to be followed: `undefined`, since the gateway has nothing there. */
  readonly address: (url: string) => string | undefined;
  /**
   * What is there to be compared (`Identifier.system`, a canonical): it stays, because two names that become
   * one say that two things are one (P9), and a public name says nothing about where the origin is. An IP
   * address, `localhost` or a port number is in nobody's name: what has the origin's is treated as an
   * address.
   */
  readonly name: (uri: string) => string | undefined;
}

export const originUrls = ({ origin, public: base }: Bases): OriginUrls =>
  urlsOf(baseNames(origin).join(" "))(base);

// 64 origins of one isolate, each below one base. Making the patterns takes longer than a read's use of them.
// No name has a space in it.
const urlsOf = memo(64, (names) => {
  const [first = "", ...others] = names.split(" ");
  return memo(2, (base) => makeUrls([first, ...others], base));
});

function makeUrls(origin: FhirBase, base: string): OriginUrls {
  const { all, start, belowAtStart, address, needles, suspect, notNames } = originPatterns(origin, base);
  const ownBase = base.toLowerCase();
  const mentions = (text: string) => {
    const lower = text.toLowerCase();
    return needles.some((needle) => lower.includes(needle));
  };
  const inPlaceOf = (found: string, ...rest: readonly unknown[]) => {
    // the last argument when a pattern has named groups (ES2018)
    const groups = rest.at(-1) as Record<string, string | undefined>;
    if (groups["ours"] !== undefined) return found;
    return groups["encoded"] === undefined ? base : encodeURIComponent(base);
  };
  const inText = (text: string) => {
    if (!suspect.test(text)) return text;
    const mentioned = mentions(text);
    const rewritten = mentioned ? text.replace(all, inPlaceOf) : text;
    // what is left is judged as its readers may decode it
    return spells(rewritten, address, ownBase) ? undefined : rewritten;
  };
  const addressOf = (url: string) => {
    if (!suspect.test(url)) return url;
    const isElsewhere = mentions(url) && start.exec(url)?.groups?.["elsewhere"] !== undefined;
    return isElsewhere ? undefined : inText(url);
  };
  return {
    inText,
    address: addressOf,
    name: (uri) => {
      if (!suspect.test(uri)) return uri;
      if (notNames.some((one) => one.suspect.test(uri) && spells(uri, one.address, ownBase)))
        return addressOf(uri);
      return mentions(uri) ? uri.replace(belowAtStart, () => base) : uri; // a `$` in the base is no pattern
    },
  };
}
