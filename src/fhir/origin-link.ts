/**
 * What of a paging link stands below the FHIR base that gave it: `?_getpages=…`, `/Observation?page=2`. Nothing for a link that leads
 * anywhere else: an origin could send the question, and its credential, to a place of its choosing.
 *
 * @param base FHIR base of the origin, without a trailing slash; a relative link is read below it.
 */
export function linkBelow(base: string, link: string): string | undefined {
  const home = new URL(base);
  const url = URL.parse(link, `${home.href.replace(/\/$/u, "")}/`);
  if (url === null || !isSamePlace(url, home) || url.username !== "" || url.password !== "") return undefined;
  // Some servers decode before they resolve `..`: `/fhir/..%2fadmin` is above the base for them.
  if (/%2f|%5c|%2e/iu.test(url.pathname)) return undefined;
  const path = home.pathname.replace(/\/$/u, "");
  // A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
  if (url.pathname !== path && !url.pathname.startsWith(`${path}/`)) return undefined;
  return url.pathname.slice(path.length) + url.search;
}

/** One host by whatever name it has for itself: a server on this machine that was asked as `127.0.0.1` may call itself `localhost`. */
function isSamePlace(url: URL, home: URL): boolean {
  const isSameHost = url.hostname === home.hostname || (isLoopback(url.hostname) && isLoopback(home.hostname));
  return url.protocol === home.protocol && isSameHost && url.port === home.port;
}

// URL has read every notation of an IPv4 address before (WHATWG URL §3.5).
const isLoopback = (hostname: string) => hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d+){3}$/u.test(hostname);
