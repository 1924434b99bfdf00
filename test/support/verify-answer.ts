import { Buffer } from "node:buffer";
import { createHash, verify, type JsonWebKey } from "node:crypto";
import { isInnerList, parseDictionary } from "structured-headers";
import type { Reply } from "../../cli/connection/mutual-tls.ts";

/** The facts that a client retains about its request: method, URL, and header fields (in lower case). */
export interface Sent {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

type Answer = Pick<Reply, "status" | "headers" | "text">;

const ageSecondsMax = 60;

/**
 * Checks an answer's signature like a client that has only Phylax's public keys (RFC 9421 §3.2, FAPI 2.0
 * HTTP Signatures). Its code shares nothing with the signing code. Returns the fault, or undefined.
 */
export function wrongWithSignature(
  { status, headers, text }: Answer,
  sent: Sent,
  keys: readonly JsonWebKey[],
): string | undefined {
  const [label, input] = [...parseDictionary(field(headers, "signature-input") ?? "")][0] ?? [];
  if (label === undefined || input === undefined || !isInnerList(input)) return "not signed";
  const [items, parameters] = input;
  if (parameters.get("tag") !== "fapi-2-response") return "another tag";
  if (Math.abs(Date.now() / 1000 - Number(parameters.get("created"))) > ageSecondsMax) return "not of now";

  const lines: string[] = [];
  const names: string[] = [];
  for (const [name, how] of items) {
    if (typeof name !== "string") return "a component without a name";
    const [req, key] = [how.get("req") === true, how.get("key")];
    const identifier = `"${name}"${req ? ";req" : ""}${typeof key === "string" ? `;key="${key}"` : ""}`;
    const whole = valueOf(name, req ? sent : { status, headers });
    if (whole === undefined) return `no value for ${identifier}`;
    names.push(identifier);
    lines.push(`${identifier}: ${typeof key === "string" ? member(whole, key) : whole}`);
  }
  const needed = ["@status", ...(sent.method === "HEAD" ? [] : ["content-digest"])].map(
    (name) => `"${name}"`,
  );
  const asked = ['"@method";req', '"@target-uri";req'];
  const own =
    "signature" in sent.headers ? ['"signature";req;key="sig"', '"signature-input";req;key="sig"'] : [];
  const missing = [...needed, ...asked, ...own].find((identifier) => !names.includes(identifier));
  if (missing !== undefined) return `does not cover ${missing}`;

  const digest = `sha-256=:${createHash("sha256").update(text).digest("base64")}:`;
  if (names.includes('"content-digest"') && headers["content-digest"] !== digest) return "another body";
  const jwk = keys.find(({ kid }) => kid === parameters.get("keyid"));
  if (jwk === undefined) return "no such key";
  // the original text: it must not be serialized anew
  const said = field(headers, "signature-input")?.slice(`${label}=`.length);
  const base = Buffer.from([...lines, `"@signature-params": ${said}`].join("\n"));
  const signature = Buffer.from(
    member(field(headers, "signature") ?? "", label).replaceAll(":", ""),
    "base64",
  );
  const key = { key: jwk, format: "jwk", dsaEncoding: "ieee-p1363" } as const;
  const good = verify(jwk.kty === "OKP" ? null : "sha256", base, key, signature);
  return good ? undefined : "another signature";
}

const field = (headers: Answer["headers"], name: string): string | undefined => headers[name]?.toString();

/** RFC 9421 §2.1, §2.2. */
function valueOf(name: string, message: Sent | Pick<Answer, "status" | "headers">): string | undefined {
  if ("url" in message) {
    if (name === "@method") return message.method;
    if (name === "@target-uri") return message.url;
    return message.headers[name];
  }
  return name === "@status" ? String(message.status) : field(message.headers, name);
}

/** The member of a dictionary field that has this member alone. */
function member(text: string, key: string): string {
  if (!text.startsWith(`${key}=`)) throw new Error(`a dictionary with another member than ${key}`);
  return text.slice(key.length + 1);
}
