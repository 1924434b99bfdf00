/** The places where a text says where the origin is: its host and port, however they are spelled. Empty: it stays hidden (P8). */
export function mentionsOf(origin: string, text: string): string[] {
  const { hostname, port, protocol } = new URL(origin);
  const number = `0*${port === "" ? (protocol === "https:" ? "443" : "80") : port}(?!\\d)`;
  // Whatever a loopback address is called, with this port it is this server: by name, as IPv4 of any notation, as IPv6.
  const loopback = String.raw`localhost\.?|(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){0,3}|\[[0-9a-f:.%a-z]+\]|::1|::ffff:[\d.]+`;
  const host = isLoopback(hostname) ? loopback : `${hostname.replaceAll(".", String.raw`\.`)}\\.?`;
  const address = new RegExp(`(?:${host})\\s*:\\s*${number}`, "gu");
  return read(text).flatMap((reading) => reading.match(address) ?? []);
}

const isLoopback = (hostname: string) =>
  hostname === "localhost" || hostname.startsWith("127.") || hostname === "[::1]";

/** A text as it stands and as what decodes it may read it: JSON, URLs and HTML, in whatever order and up to three times over. */
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
    .normalize("NFKC") // a URL's host is read so: １２７ is 127
    .replaceAll(/[\u00ad\u200b-\u200d\u2060\ufeff]/gu, "") // and without what nobody sees
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
