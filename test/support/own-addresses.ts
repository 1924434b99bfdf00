/**
 * Every spelling of a server's own FHIR base that a client, a browser or a reader recognizes. A test checks
 * that none of them is left.
 */
export function ownAddresses(url: string): string[] {
  const { port, pathname } = new URL(url);
  const base = `http://127.0.0.1:${port}${pathname}`;
  const named = [
    "localhost",
    "LOCALHOST",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
  ].map((host) => `http://${host}:${port}${pathname}`);
  return [
    base,
    base.replace("http:", "https:"),
    base.replace("http:", "HTTP:"),
    base.replace("http:", ""),
    base.replace("//", "//user:secret@"),
    base.replace(`:${port}`, `:0${port}`),
    base.replace(pathname, ""),
    base.replace(pathname, "/elsewhere"),
    base.replace(pathname, `${pathname}2`),
    base.replace(pathname, "?x"),
    `127.0.0.1:${port}`,
    `localhost:${port}${pathname}`,
    ...named,
    encodeURIComponent(base),
    encodeURIComponent(base).toLowerCase(),
    encodeURIComponent(encodeURIComponent(base)),
    base.replaceAll("/", "\\/"),
    base.replaceAll("/", "\\"),
    base.replaceAll(":", "\\u003a"),
    base.replaceAll(":", "&#58;").replaceAll("/", "&#x2F;"),
    base.replaceAll(".", "&period;"),
    base.replaceAll(".", "%2E"),
    base.replaceAll("1", "１"),
    base.replaceAll(".", "。"),
    base.replace("127", "12\u00ad7"),
    `https://elsewhere.example/?iss=${encodeURIComponent(base)}&x=${base}`,
    `mailto:a@127.0.0.1:${port}`,
    `see <${base}>, "${base}" and (${base}).`,
  ];
}
