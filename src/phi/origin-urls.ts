/** The two addresses of one FHIR base, without a trailing slash: the origin's, which never leaves (P8), and the gateway's. */
export interface Bases {
  readonly origin: string;
  readonly public: string;
}

/**
 * Takes the origin's address out of the strings of a resource. Below the origin's FHIR base a URL becomes the gateway's in all of them; they
 * differ in what becomes of any other URL of its host.
 */
export interface OriginUrls {
  /** Free text: it becomes the gateway's base, wherever it stands, percent-encoded or without its scheme too. */
  readonly inText: (text: string) => string;
  /** What is there to be followed: `undefined`, since the gateway has nothing there. */
  readonly address: (url: string) => string | undefined;
  /**
   * What is there to be compared (`Identifier.system`, a canonical): it stays, because two names that become one say that two things are
   * one (P9), and a public name says nothing about where the origin is. On an IP address or `localhost` nobody names anything: `undefined`.
   */
  readonly name: (uri: string) => string | undefined;
}

export function originUrls({ origin, public: base }: Bases): OriginUrls {
  const { port, hostname, pathname } = new URL(origin);
  const host = escaped(hostname) + (port === "" ? "(?::80|:443)?" : `:${port}`);
  const path = pathname === "/" ? "" : escaped(pathname.replace(/\/$/u, ""));
  // A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
  const end = "(?![A-Za-z0-9._~%-])";
  const below = String.raw`(?:https?:)?//${host}${path}${end}`;
  // Schemes and user names are bounded, so that a long word costs no more than its length.
  const elsewhere = String.raw`(?:[a-z][a-z0-9+.-]{0,15}:)?//(?:[^\s/@"'<>]{0,64}@)?${escaped(hostname)}\.?(?::\d+)?(?![A-Za-z0-9-]|\.[A-Za-z0-9])(?:/[^\s"'<>]*)?`;
  const encodedHost = escaped(encodeURIComponent(hostname));
  const encoded = String.raw`(?:https?%3A)?%2F%2F${encodedHost}(?:%3A\d+)?(?![A-Za-z0-9-]|\.[A-Za-z0-9])(?:${encodedPath(pathname)}(?![A-Za-z0-9._~-])|(?:%2F[^\s"'<>&]*)?)`;
  // A bare host name may be anybody's word; with the port it is this server's address.
  const bare = String.raw`(?<![A-Za-z0-9.-])${escaped(hostname)}(?::|%3A)${port === "" ? "(?:80|443)" : port}(?!\d)(?:${path}${end})?`;
  const ours = `${escaped(base)}${end}`;
  // The gateway's own base first: it may be on the origin's host, even below its base.
  const all = new RegExp(`(?<ours>${ours})|(?<below>${below})|(?<elsewhere>${elsewhere})|(?<encoded>${encoded})|(?<bare>${bare})`, "giu");
  const starts = new RegExp(String.raw`^\s*(?:(?<ours>${ours})|(?<below>${below})|(?<elsewhere>${elsewhere}))`, "iu");
  const needles = new Set([hostname, encodeURIComponent(hostname).toLowerCase()]); // an IPv6 address has brackets
  const mentions = (text: string) => {
    const lower = text.toLowerCase();
    return [...needles].some((needle) => lower.includes(needle));
  };

  const inText = (text: string) =>
    mentions(text)
      ? text.replace(all, (found, ...rest) => {
          const groups = rest.at(-1) as Record<string, string | undefined>; // the last argument when a pattern has named groups (ES2018)
          if (groups["ours"] !== undefined) return found;
          return groups["encoded"] === undefined ? base : encodeURIComponent(base);
        })
      : text;
  const isElsewhere = (url: string) => mentions(url) && starts.exec(url)?.groups?.["elsewhere"] !== undefined;
  const belowAtStart = new RegExp(String.raw`^\s*(?!${ours})${below}`, "iu");
  const namesNothing = hostname === "localhost" || /^(?:[\d.]+|\[.*\])$/u.test(hostname);
  return {
    inText,
    address: (url) => (isElsewhere(url) ? undefined : inText(url)),
    name: (uri) => {
      if (!mentions(uri)) return uri;
      if (namesNothing) return isElsewhere(uri) ? undefined : inText(uri);
      return uri.replace(belowAtStart, () => base); // a `$` in the base is no pattern
    },
  };
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
const encodedPath = (pathname: string) => escaped(encodeURIComponent(pathname.replace(/\/$/u, "")));
