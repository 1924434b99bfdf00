import { baseNames, type FhirBase } from "#fhir/r4/reference";

/**
 * What of a paging link stands below the FHIR base that gave it: `?_getpages=…`, `/Observation?page=2`. Nothing for a link that leads
 * anywhere else: an origin could send the question, and its credential, to a place of its choosing. Below another name of the base it is
 * the same page, which is asked for below the first.
 *
 * @param base FHIR base of the origin; a relative link is read below each name in turn.
 */
export function linkBelow(base: FhirBase, link: string): string | undefined {
  const homes = baseNames(base).map((name) => new URL(name));
  return homes
    .map((home) => placeBelow(homes, URL.parse(link, `${home.href.replace(/\/$/u, "")}/`)))
    .find((place) => place !== undefined);
}

function placeBelow(homes: readonly URL[], url: URL | null): string | undefined {
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  // Some servers decode before they resolve `..`: `/fhir/..%2fadmin` is above the base for them.
  if (/%2f|%5c|%2e/iu.test(url.pathname)) return undefined;
  // A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`. The longest: `/fhir/r4` may be a name beside `/fhir`.
  const paths = homes
    .filter((home) => isSamePlace(url, home))
    .map(({ pathname }) => pathname.replace(/\/$/u, ""))
    .toSorted((a, b) => b.length - a.length);
  const path = paths.find((path) => url.pathname === path || url.pathname.startsWith(`${path}/`));
  return path === undefined ? undefined : url.pathname.slice(path.length) + url.search;
}

/** One host by whatever name it has for itself: a server on this machine that was asked as `127.0.0.1` may call itself `localhost`. */
function isSamePlace(url: URL, home: URL): boolean {
  const isSameHost =
    url.hostname === home.hostname || (isLoopback(url.hostname) && isLoopback(home.hostname));
  return url.protocol === home.protocol && isSameHost && url.port === home.port;
}

// URL has read every notation of an IPv4 address before (WHATWG URL §3.5).
const isLoopback = (hostname: string) =>
  hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d+){3}$/u.test(hostname);
