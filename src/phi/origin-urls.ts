import { isPlain, spells } from "./address-spellings.ts";

/** The two addresses of one FHIR base, without a trailing slash: the origin's, which never leaves (P8), and the gateway's. */
export interface Bases {
  readonly origin: string;
  readonly public: string;
}

/**
 * Takes the origin's address out of the strings of a resource. Below the origin's FHIR base a URL becomes the gateway's in all of them; they
 * differ in what becomes of any other URL of its host. A string whose address only a decoder sees does not leave: `undefined`.
 */
export interface OriginUrls {
  /** Free text: it becomes the gateway's base, wherever it stands, percent-encoded or without its scheme too. */
  readonly inText: (text: string) => string | undefined;
  /** What is there to be followed: `undefined`, since the gateway has nothing there. */
  readonly address: (url: string) => string | undefined;
  /**
   * What is there to be compared (`Identifier.system`, a canonical): it stays, because two names that become one say that two things are
   * one (P9), and a public name says nothing about where the origin is. On an IP address or `localhost` nobody names anything: `undefined`.
   */
  readonly name: (uri: string) => string | undefined;
}

// What a loopback address is called: by name, as IPv4 of any notation (WHATWG URL §3.5), as IPv6. Which server is meant, the port tells.
const loopback = [
  String.raw`localhost\.?`,
  String.raw`127(?:\.\d{1,3}){1,3}|0{1,8}177(?:\.[0-7]{1,4}){1,3}|0x7f(?:\.(?:0x)?[0-9a-f]{1,3}){1,3}`,
  String.raw`21[34]\d{7}|0x7f[0-9a-f]{6}|0\.0\.0\.0`,
  String.raw`\[[0:]{0,37}(?::0{0,3}1|ffff:(?:127(?:\.\d{1,3}){3}|7f[0-9a-f]{2}:[0-9a-f]{1,4})|:)\]`,
].join("|");
const loopbackEncoded = String.raw`(?:localhost|127(?:\.\d{1,3}){1,3}|%5B(?:[0-9a-f.]|%3A){2,45}%5D)`;

export function originUrls({ origin, public: base }: Bases): OriginUrls {
  const { port, hostname, pathname, protocol } = new URL(origin);
  const isLoopback = hostname === "localhost" || hostname === "[::1]" || hostname.startsWith("127.");
  const number = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  const aliases = isLoopback ? [`(?:${loopback}):0{0,8}${number}(?!\\d)`] : [];
  const host = either(escaped(hostname) + (port === "" ? "(?::80|:443)?" : `:0{0,8}${port}`), ...aliases);
  const path = pathname === "/" ? "" : escaped(pathname.replace(/\/$/u, ""));
  // A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
  const end = "(?![A-Za-z0-9._~%-])";
  const below = String.raw`(?:https?:)?//${host}${path}${end}`;
  // Schemes and user names are bounded, so that a long word costs no more than its length.
  const anyPort = either(String.raw`${escaped(hostname)}\.?(?::\d+)?`, ...aliases);
  const elsewhere = String.raw`(?:[a-z][a-z0-9+.-]{0,15}:)?//(?:[^\s/@"'<>]{0,64}@)?${anyPort}(?![A-Za-z0-9-]|\.[A-Za-z0-9])(?:/[^\s"'<>]*)?`;
  const encodedHost = either(
    String.raw`${escaped(encodeURIComponent(hostname))}(?:%3A\d+)?`,
    ...(isLoopback ? [`${loopbackEncoded}%3A0{0,8}${number}(?!\\d)`] : []),
  );
  const encoded = String.raw`(?:https?%3A)?%2F%2F${encodedHost}(?![A-Za-z0-9-]|\.[A-Za-z0-9])(?:${encodedPath(pathname)}(?![A-Za-z0-9._~-])|(?:%2F[^\s"'<>&]*)?)`;
  // A bare host name may be anybody's word; with the port it is this server's address.
  const bareHost = either(escaped(hostname), ...(isLoopback ? [loopback] : []));
  const bare = String.raw`(?<![A-Za-z0-9.-])${bareHost}(?::|%3A)0{0,8}${port === "" ? "(?:80|443)" : port}(?!\d)(?:${path}${end})?`;
  const ours = `${escaped(base)}${end}`;
  // The gateway's own base first: it may be on the origin's host, even below its base.
  const all = new RegExp(
    `(?<ours>${ours}|${escaped(encodeURIComponent(base))})|(?<below>${below})|(?<elsewhere>${elsewhere})|(?<encoded>${encoded})|(?<bare>${bare})`,
    "giu",
  );
  const starts = new RegExp(String.raw`^\s*(?:(?<ours>${ours})|(?<below>${below})|(?<elsewhere>${elsewhere}))`, "iu");
  // An IPv6 address has brackets. By another name of the loopback address, only the port gives it away.
  const needles = new Set([hostname, encodeURIComponent(hostname).toLowerCase(), ...(isLoopback ? [number] : [])]);
  const mentions = (text: string) => {
    const lower = text.toLowerCase();
    return [...needles].some((needle) => lower.includes(needle));
  };
  // What is left after the rewriting is judged as its readers may decode it.
  const hidden = new RegExp(
    String.raw`//(?:[^\s/@]{0,64}@)?${escaped(hostname)}\.?(?![a-z0-9-]|\.[a-z0-9])|(?<![a-z0-9.-])${bareHost}\.?:0{0,8}${number}(?!\d)`,
    "u",
  );
  const inPlaceOf = (found: string, ...rest: readonly unknown[]) => {
    const groups = rest.at(-1) as Record<string, string | undefined>; // the last argument when a pattern has named groups (ES2018)
    if (groups["ours"] !== undefined) return found;
    return groups["encoded"] === undefined ? base : encodeURIComponent(base);
  };
  const ownBase = base.toLowerCase();

  const inText = (text: string) => {
    const mentioned = mentions(text);
    if (!mentioned && isPlain(text)) return text;
    const rewritten = mentioned ? text.replace(all, inPlaceOf) : text;
    return spells(rewritten, hidden, ownBase) ? undefined : rewritten;
  };
  const isElsewhere = (url: string) => mentions(url) && starts.exec(url)?.groups?.["elsewhere"] !== undefined;
  const belowAtStart = new RegExp(String.raw`^\s*(?!${ours})${below}`, "iu");
  const namesNothing = hostname === "localhost" || /^(?:[\d.]+|\[.*\])$/u.test(hostname);
  return {
    inText,
    address: (url) => (isElsewhere(url) ? undefined : inText(url)),
    name: (uri) => {
      if (namesNothing) return isElsewhere(uri) ? undefined : inText(uri);
      return mentions(uri) ? uri.replace(belowAtStart, () => base) : uri; // a `$` in the base is no pattern
    },
  };
}

const either = (...patterns: readonly string[]) => (patterns.length === 1 ? patterns.join("") : `(?:${patterns.join("|")})`);
const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
const encodedPath = (pathname: string) => escaped(encodeURIComponent(pathname.replace(/\/$/u, "")));
