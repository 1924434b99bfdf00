/** The two addresses of one FHIR base, without a trailing slash: the origin's, which never leaves (P8), and the gateway's. */
export interface Bases {
  readonly origin: string;
  readonly public: string;
}

/** Takes the origin's address out of a string. A URL below its FHIR base becomes the gateway's; any other URL of its host becomes the gateway's base. */
export type OriginUrlMap = (text: string) => string;

export function originUrlMap({ origin, public: base }: Bases): OriginUrlMap {
  const { port, hostname, pathname } = new URL(origin);
  const host = escaped(hostname) + (port === "" ? "(?::80|:443)?" : `:${port}`);
  const path = pathname === "/" ? "" : escaped(pathname.replace(/\/$/u, ""));
  // The base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
  const below = new RegExp(String.raw`(?:https?:)?//${host}${path}(?![A-Za-z0-9._~%-])`, "giu");
  // Schemes and user names are bounded, so that a long word costs no more than its length.
  const elsewhere = new RegExp(
    String.raw`(?:[a-z][a-z0-9+.-]{0,15}:)?//(?:[^\s/@"'<>]{0,64}@)?${escaped(hostname)}\.?(?::\d+)?(?![A-Za-z0-9-]|\.[A-Za-z0-9])(?:/[^\s"'<>]*)?`,
    "giu",
  );
  const needle = hostname.toLowerCase();
  const replace = () => base; // a `$` in the base is no pattern
  return (text) =>
    text.toLowerCase().includes(needle)
      ? text.replace(below, replace).replace(elsewhere, (url) => (url.startsWith(`${base}/`) || url === base ? url : base))
      : text;
}

const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
