import type { RowBarrier } from "#fhir/row-barrier";
import { baseNames, type FhirBase } from "#fhir/r4/reference";

import { memo } from "#kernel/memo";
import { spells } from "./address-spellings.ts";
import { originPatterns } from "./origin-patterns.ts";

/**
 * The two addresses of a FHIR base, without a trailing slash: the origin's, which must not leave under any of
 * its names (P8), and the gateway's.
 */
export interface Bases {
  readonly origin: FhirBase;
  readonly public: string;
  /**
   * The link in place of the URL of an attachment, sealed for the caller. `row`: the row that has the attachment, as
   * `Type/id`. Undefined: the URL leads to no content that the gateway fetches.
   */
  readonly sealed?: ((row: string, url: string) => string | undefined) | undefined;
  /** Answers whether the URL of an attachment leads to a storage: without a link it does not leave. */
  readonly isStored?: ((url: string) => boolean) | undefined;
}

/** The addresses by which rows are redacted, with the barrier around each of these rows. */
export type GuardedBases = Bases & { readonly barrier: RowBarrier };

/**
 * Removes the origin's address from the strings of a resource. Each method turns a URL below the origin's
 * FHIR base into a URL of the gateway; they differ about further URLs of the origin's host. `undefined`: the
 * string does not leave, because only a decoder sees the address in it.
 */
export interface OriginUrls {
  /**
   * Free text: such a URL becomes the gateway's base, at any position, also percent-encoded or without a
   * scheme.
   */
  readonly inText: (text: string) => string | undefined;
  /** A URL to follow: `undefined`, since the gateway has no resource there. */
  readonly address: (url: string) => string | undefined;
  /**
   * A URI to compare (`Identifier.system`, a canonical). It stays: if two names became equal, two things
   * would appear to be the same (P9), and a public name says nothing about the origin's location. An IP
   * address, `localhost` or a port number is not part of a name: a URI with the origin's is treated as an
   * address.
   */
  readonly name: (uri: string) => string | undefined;
}

export const originUrls = ({ origin, public: base }: Bases): OriginUrls =>
  urlsOf(baseNames(origin).join(" "))(base);

// For 64 origins of an isolate, each below its base. To compile the patterns takes longer than a read takes
// to use them. No name has a space in it.
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
    // the last argument if a pattern has named groups (ES2018)
    const groups = rest.at(-1) as Record<string, string | undefined>;
    if (groups["ours"] !== undefined) return found;
    return groups["encoded"] === undefined ? base : encodeURIComponent(base);
  };
  const inText = (text: string) => {
    if (!suspect.test(text)) return text;
    const mentioned = mentions(text);
    const rewritten = mentioned ? text.replace(all, inPlaceOf) : text;
    // the remaining text is judged as its readers may decode it
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
