import { isLoopback } from "#fhir/loopback";
import { baseNames, type FhirBase } from "#fhir/r4/reference";
import { notPlain } from "./address-spellings.ts";

/** The patterns that find an origin's address in a text, in plain form or encoded. */
export interface OriginPatterns {
  /**
   * Every mention, in one of five groups: `ours` (the gateway's own base, which stays), `below`, `elsewhere`,
   * `encoded`, `bare`.
   */
  readonly all: RegExp;
  /** Only at the beginning: `ours`, `below` or `elsewhere`. */
  readonly start: RegExp;
  /** At the beginning: a URL below the origin's FHIR base that is not a URL of the gateway. */
  readonly belowAtStart: RegExp;
  /** For a decoded text in lower case: the addresses that it must not have. */
  readonly address: RegExp;
  /** Parts of a lower-case text that mentions the address in plain form. */
  readonly needles: readonly string[];
  /**
   * A text that does not match has no address, plain or encoded: this cheap test settles nearly every text.
   */
  readonly suspect: RegExp;
  /**
   * For each name of the origin: the addresses in a lower-case URI that are more than a name. An IP address
   * and `localhost` are always addresses, a host name only with its port. `suspect`: as above, for this name.
   */
  readonly notNames: readonly { readonly suspect: RegExp; readonly address: RegExp }[];
}

// The spellings of a loopback address: by name, as IPv4 of any notation (WHATWG URL §3.5), as IPv6. The port
// identifies the server.
const loopback = [
  String.raw`localhost\.?`,
  String.raw`127(?:\.\d{1,3}){1,3}|0{1,8}177(?:\.[0-7]{1,4}){1,3}|0x7f(?:\.(?:0x)?[0-9a-f]{1,3}){1,3}`,
  String.raw`21[34]\d{7}|0x7f[0-9a-f]{6}|0\.0\.0\.0`,
  String.raw`\[[0:]{0,37}(?::0{0,3}1|ffff:(?:127(?:\.\d{1,3}){3}|7f[0-9a-f]{2}:[0-9a-f]{1,4})|:)\]`,
].join("|");
const loopbackEncoded = String.raw`(?:localhost|127(?:\.\d{1,3}){1,3}|%5B(?:[0-9a-f.]|%3A){2,45}%5D)`;

/**
 * @param origin FHIR base of the origin, with all of its names.
 * @param base the gateway's base. It may be on the origin's host, even below the origin's base.
 */
export function originPatterns(origin: FhirBase, base: string): OriginPatterns {
  // an origin may use its public address for itself
  const isGateways = (name: string) => name.toLowerCase() === base.toLowerCase();
  const names = baseNames(origin).filter((name) => !isGateways(name));
  // The longer of two names is matched first: `/fhir/r4` may be a name besides `/fhir`.
  const forms = names.toSorted((a, b) => b.length - a.length).map(formsOf);
  const any = (form: keyof NameForms) =>
    forms.length === 0 ? "(?!)" : either([...new Set(forms.map((each) => each[form]))].join("|"));
  const ours = `${escaped(base)}${end}`;
  const mine = `(?<ours>${ours}|${escaped(encodeURIComponent(base))})`;
  const [below, elsewhere] = [`(?<below>${any("below")})`, `(?<elsewhere>${any("elsewhere")})`];
  const encoded = `(?<encoded>${any("encodedBelow")}|${any("encodedElsewhere")})`;
  const bare = `(?<bare>${any("bareBelow")}|${any("bare")})`;
  const needles = [...new Set(names.flatMap(needlesOf))];
  return {
    all: new RegExp(`${mine}|${below}|${elsewhere}|${encoded}|${bare}`, "giu"),
    start: new RegExp(String.raw`^\s*(?:(?<ours>${ours})|${below}|${elsewhere})`, "iu"),
    belowAtStart: new RegExp(String.raw`^\s*(?!${ours})${any("below")}`, "iu"),
    address: new RegExp(any("address"), "iu"),
    needles,
    suspect: suspicion(needles),
    notNames: names.map((name) => ({ suspect: suspicion(needlesOf(name)), address: notAName(name) })),
  };
}

/** The spellings of one name of an origin's base, as sources of patterns. */
type NameForms = Readonly<
  Record<
    "below" | "elsewhere" | "encodedBelow" | "encodedElsewhere" | "bareBelow" | "bare" | "address",
    string
  >
>;

function formsOf(name: string): NameForms {
  const { hostname, port, pathname } = new URL(name);
  const number = portOf(name);
  const host = escaped(hostname);
  const path = pathname === "/" ? "" : escaped(pathname.replace(/\/$/u, ""));
  const isLocal = isLoopback(hostname);

  const aliases = isLocal ? [`(?:${loopback}):0{0,8}${number}(?!\\d)`] : [];
  const server = either(host + (port === "" ? "(?::80|:443)?" : `:0{0,8}${port}`), ...aliases);
  // Schemes and user names are bounded, so that a long word costs no more than its length.
  const anyPort = either(String.raw`${host}\.?(?::\d+)?`, ...aliases);

  const encodedAliases = isLocal ? [`${loopbackEncoded}%3A0{0,8}${number}(?!\\d)`] : [];
  const encodedHost = either(
    String.raw`${escaped(encodeURIComponent(hostname))}(?:%3A\d+)?`,
    ...encodedAliases,
  );
  const encodedPath = escaped(encodeURIComponent(pathname.replace(/\/$/u, "")));
  const encodedServer = String.raw`(?:https?%3A)?%2F%2F${encodedHost}${hostEnd}`;

  // A bare host name may be an ordinary word; with the port it is this server's address.
  const bareHost = `(?<![A-Za-z0-9.-])${either(host, ...(isLocal ? [loopback] : []))}`;
  const bare = String.raw`${bareHost}(?::|%3A)0{0,8}${port === "" ? "(?:80|443)" : port}(?!\d)`;
  return {
    below: String.raw`(?:https?:)?//${server}${path}${end}`,
    elsewhere: String.raw`(?:[a-z][a-z0-9+.-]{0,15}:)?//(?:[^\s/@"'<>]{0,64}@)?${anyPort}${hostEnd}(?:/[^\s"'<>]*)?`,
    encodedBelow: `${encodedServer}${encodedPath}(?![A-Za-z0-9._~-])`,
    encodedElsewhere: String.raw`${encodedServer}(?:%2F[^\s"'<>&]*)?`,
    bareBelow: `${bare}${path}${end}`,
    bare,
    address: String.raw`//(?:[^\s/@]{0,64}@)?${host}\.?${hostEnd}|${bareHost}\.?:0{0,8}${number}(?!\d)`,
  };
}

// An IPv6 address has brackets. An alias of the loopback address is recognized only by the port.
function needlesOf(name: string): readonly string[] {
  const { hostname } = new URL(name);
  return [
    hostname,
    encodeURIComponent(hostname).toLowerCase(),
    ...(isLoopback(hostname) ? [portOf(name)] : []),
  ];
}

const suspicion = (needles: readonly string[]) =>
  new RegExp(either([notPlain.source, ...new Set(needles.map(escaped))].join("|")), "iu");

function notAName(name: string): RegExp {
  const { hostname, port } = new URL(name);
  const host = escaped(hostname);
  if (isLoopback(hostname)) return /^/u;
  if (/^(?:[\d.]+|\[.*\])$/u.test(hostname)) return new RegExp(host, "u");
  return port === "" ? /(?!)/u : new RegExp(`${host}\\.?:0{0,8}${port}(?!\\d)`, "u");
}

function portOf(name: string): string {
  const { port, protocol } = new URL(name);
  return port === "" ? (protocol === "https:" ? "443" : "80") : port;
}

// A base ends where a path segment ends: `/fhir` is no prefix of `/fhir2`.
const end = "(?![A-Za-z0-9._~%-])";
const hostEnd = String.raw`(?![A-Za-z0-9-]|\.[A-Za-z0-9])`;
const either = (...patterns: readonly string[]) => `(?:${patterns.join("|")})`;
const escaped = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, "\\$&");
