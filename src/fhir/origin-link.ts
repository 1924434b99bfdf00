/**
 * What of a paging link stands below the FHIR base that gave it: `?_getpages=…`, `/Observation?page=2`. Nothing for a link that leads
 * anywhere else: an origin could send the question, and its credential, to a place of its choosing.
 *
 * @param base FHIR base of the origin, without a trailing slash; a relative link is read below it.
 */
export function linkBelow(base: string, link: string): string | undefined {
  const home = new URL(base);
  const url = URL.parse(link, `${home.href.replace(/\/$/u, "")}/`);
  if (url === null || url.protocol !== home.protocol || url.host !== home.host || url.username !== "" || url.password !== "")
    return undefined;
  // Some servers decode before they resolve `..`: `/fhir/..%2fadmin` is above the base for them.
  if (/%2f|%5c|%2e/iu.test(url.pathname)) return undefined;
  const path = home.pathname.replace(/\/$/u, "");
  // A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
  if (url.pathname !== path && !url.pathname.startsWith(`${path}/`)) return undefined;
  return url.pathname.slice(path.length) + url.search;
}
