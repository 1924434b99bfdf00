/**
 * The places where a text names the origin's host and port, in any spelling. An empty list: the origin stays
 * hidden (P8).
 */
export function mentionsOf(origin: string, text: string): string[] {
  const { hostname, port, protocol } = new URL(origin);
  const number = `0*${port === "" ? (protocol === "https:" ? "443" : "80") : port}(?!\\d)`;
  // Any name of a loopback address with this port means this server: a host name, IPv4 in any notation,
  // IPv6.
  const loopback = String.raw`localhost\.?|(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}|\[[0-9a-f:.%a-z]+\]|::1|::ffff:[\d.]+`;
  const host = isLoopback(hostname) ? loopback : `${hostname.replaceAll(".", String.raw`\.`)}\\.?`;
  const address = new RegExp(`(?:${host})\\s*:\\s*${number}`, "gu");
  return read(text).flatMap((reading) => reading.match(address) ?? []);
}

const isLoopback = (hostname: string) =>
  hostname === "localhost" || hostname.startsWith("127.") || hostname === "[::1]";

/** A text and its decoded forms: JSON, URLs and HTML, in any order and up to three times. */
function read(text: string): string[] {
  const readings = [folded(text)];
  for (let times = 0; times < 3; times++) {
    const last = readings.at(-1) ?? "";
    const next = folded(decoded(last));
    if (next === last) break;
    readings.push(next);
  }
  return readings;
}

const folded = (text: string) =>
  text
    .normalize("NFKC") // a URL parser normalizes a host: １２７ is 127
    .replaceAll(/[\u00ad\u200b-\u200d\u2060\ufeff]/gu, "") // a URL parser also drops invisible characters
    .replaceAll("\u3002", ".")
    .toLowerCase();

const named: Readonly<Record<string, string>> = {
  colon: ":",
  sol: "/",
  period: ".",
  lsqb: "[",
  rsqb: "]",
  lbrack: "[",
  rbrack: "]",
  amp: "&",
};

const decoded = (text: string) =>
  text
    .replaceAll(
      /\\(?:u(?<hex>[0-9a-f]{4})|(?<sign>[/\\]))/gu,
      (_, hex: string | undefined, sign: string | undefined) =>
        hex === undefined ? (sign ?? "") : String.fromCharCode(Number.parseInt(hex, 16)),
    )
    .replaceAll(/(?:%[0-9a-f]{2})+/gu, (bytes) =>
      Buffer.from(bytes.replaceAll("%", ""), "hex").toString("utf8"),
    )
    .replaceAll(/&#x(?<hex>[0-9a-f]{1,6});?/gu, (_, hex: string) =>
      String.fromCodePoint(Math.min(0x10ffff, Number.parseInt(hex, 16))),
    )
    .replaceAll(/&#(?<digits>\d{1,7});?/gu, (_, digits: string) =>
      String.fromCodePoint(Math.min(0x10ffff, Number(digits))),
    )
    .replaceAll(/&(?<name>[a-z]+);/gu, (whole, name: string) => named[name] ?? whole);
