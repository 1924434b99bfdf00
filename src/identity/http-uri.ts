const rfc3986 = /^https:\/\/[A-Za-z0-9\-._~:/?#[\]!$&'()*+,;=%]+$/iu;
const unreserved = /^[A-Za-z0-9\-._~]$/u;

/**
 * An https URI as RFC 3986 §6.2.2 and §6.2.3 normalise it, without query and fragment: RFC 9449 §4.3
 * compares `htu` like this. `undefined` for any different text: URL parsers also accept backslashes, tabs
 * and user names, and an attacker would use the difference.
 */
export function normalHttpUri(text: string): string | undefined {
  if (!rfc3986.test(text)) return undefined;
  const url = URL.parse(text);
  if (url === null || url.username !== "" || url.password !== "") return undefined;
  if (/%(?![0-9A-Fa-f]{2})/u.test(url.pathname)) return undefined;
  const path = url.pathname.replaceAll(/%[0-9A-Fa-f]{2}/gu, (encoded) => {
    const decoded = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return unreserved.test(decoded) ? decoded : encoded.toUpperCase();
  });
  return url.origin + path;
}
