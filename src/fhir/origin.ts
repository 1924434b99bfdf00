import { idForm } from "#fhir/r4/names";

/** The form of an origin's name, as the source of a pattern: the registry names it so, and URLs have it. */
export const originName = "[a-z][a-z0-9-]{0,31}";

/** The form in which operators and records name a resource: `<origin>/<type>/<id>`. */
export const resourceAtOrigin = (type: "Patient" | "Consent"): RegExp =>
  new RegExp(`^${originName}/${type}/${idForm}$`, "u");

/** The longest time that a registry entry may give its origin for one question, in seconds. */
export const originTimeoutSecondsMax = 15;

/**
 * The longest time in which an origin answers a write: it is asked twice if the origin wants a new token. Leases
 * and attempts last longer, so that no further writer begins while a write is under way.
 */
export const originWriteMilliseconds = 2 * originTimeoutSecondsMax * 1_000 + 2_000;

/** Codes of http://hl7.org/fhir/restful-interaction that an origin may support for a type. */
export const typeInteractions = [
  "read",
  "vread",
  "update",
  "patch",
  "delete",
  "history-instance",
  "history-type",
  "create",
  "search-type",
] as const;

/**
 * Answers whether a URL leads below a storage base: both are spelled as a URL parser writes them, and no part of the path
 * is a dot segment or hides a sign of the grammar of URLs. A base ends with a slash, so the text alone decides.
 */
export function isStoredAt(url: string, base: string): boolean {
  if (!url.startsWith(base) || url.length === base.length || url.length > urlCharactersMax) return false;
  const parsed = URL.parse(url);
  return parsed?.href === url && parsed.hash === "" && !/%(?:[01]|2[ef]|5c|7f)/iu.test(parsed.pathname);
}

const urlCharactersMax = 4_096;

/**
 * The URL of a stored content without the signature that servers write anew at each read. Other parts of the query name
 * the content.
 */
export function unsignedUrl(url: string): string {
  const at = url.indexOf("?");
  if (at === -1) return url;
  const pairs = url.slice(at + 1).split("&");
  const kept = pairs.filter((pair) => !signing.test(pair.replace(/=.*$/su, "")));
  return kept.length === 0 ? url.slice(0, at) : `${url.slice(0, at)}?${kept.join("&")}`;
}

/** Parameters of signed URLs: CloudFront (Medplum), S3, Google Cloud Storage and Azure. */
const signing =
  /^(?:x-(?:amz|goog)-.+|awsaccesskeyid|googleaccessid|expires|key-pair-id|policy|signature|s(?:[eprtv]|ig|ip|pr|k(?:oid|tid|[estv])))$/iu;

/**
 * Answers whether a reader may take a URL for one below a base, in any spelling and for any user: by another scheme,
 * through escapes, with path parameters, or at the host with a dot behind it. A text without a host of its own must not
 * name the base's.
 */
export function leadsBelow(url: string, bases: readonly string[]): boolean {
  if (bases.length === 0) return false;
  const places = placesOf(url);
  const texts = decodedForms(url.toLowerCase().replaceAll("\\", "/"));
  return bases.some((base) => {
    const [below = ""] = placesOf(base);
    return places.length === 0
      ? texts.some((text) => namesHost(text, below.slice(0, below.indexOf("/"))))
      : places.some((place) => place.startsWith(below));
  });
}

/** A host without a dot or a port may be an ordinary word: it is a host at the place of a host alone. */
const namesHost = (text: string, host: string): boolean =>
  /[.:[]/u.test(host)
    ? text.includes(host)
    : new RegExp(`(?:^\\s*|//|@)${host}\\.?(?:[/?#:]|\\s*$)`, "u").test(text);

/** A text, and the text as up to three readers decode its escapes. */
function decodedForms(text: string): readonly string[] {
  const forms = [text];
  for (let times = 0; times < 3; times += 1)
    forms.push((forms.at(-1) ?? "").replaceAll(/%[2-7][0-9a-f]/giu, (hex) => decodeURIComponent(hex)));
  return forms;
}

/**
 * Host and path of a URL as one parser reads them, then with the escapes of the path decoded, each also without its path
 * parameters (RFC 3986 §3.3); without case.
 */
function placesOf(url: string): readonly string[] {
  const parsed = URL.parse(url) ?? URL.parse(url, nowhere);
  if (parsed === null || parsed.hostname === "" || parsed.href.startsWith(nowhere)) return [];
  const { hostname, port, pathname } = parsed;
  const host = hostname.replace(/\.$/u, "") + (/^(?:80|443)?$/u.test(port) ? "" : `:${port}`);
  const paths = decodedForms(pathname).flatMap((path) => [path, path.replaceAll(/;[^/\\]*/gu, "")]);
  return [pathname, ...paths.map(resolved)].map((path) =>
    `${host}${path}${path.endsWith("/") ? "" : "/"}`.toLowerCase(),
  );
}

const resolved = (path: string): string =>
  URL.parse(path.replaceAll(/[/\\]+/gu, "/"), nowhere)?.pathname ?? "";

const nowhere = "https://relative.invalid/";

/** True for a text that is a storage base: no user, no query, no escape, and a slash at its end. */
export function isStorageBase(text: string): boolean {
  const url = URL.parse(text);
  return url?.href === text && url.username === "" && /^https?:\/\/[^/]+\/(?:[\w.~-]+\/)*$/u.test(text);
}
