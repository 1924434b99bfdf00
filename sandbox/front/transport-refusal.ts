import { STATUS_CODES, type IncomingMessage } from "node:http";
import { httpVerbs } from "#fhir/http-verb";

/**
 * A refusal by the transport, before any worker is called: unrecorded, as Cloudflare's edge would refuse
 * without a record.
 */
export interface TransportRefusal {
  readonly status: number;
  /** From the FHIR value set issue-type. */
  readonly code:
    | "invalid"
    | "not-found"
    | "not-supported"
    | "too-long"
    | "timeout"
    | "transient"
    | "exception";
  readonly text: string;
}

export const refusals = {
  malformed: { status: 400, code: "invalid", text: "The request is malformed." },
  reserved: { status: 404, code: "not-found", text: "Not found." },
  method: { status: 405, code: "not-supported", text: "The method is not supported." },
  slow: { status: 408, code: "timeout", text: "The request took too long to arrive." },
  urlTooLong: { status: 414, code: "too-long", text: "The URL is longer than 16 KB." },
  expectation: { status: 417, code: "not-supported", text: "The expectation is not supported." },
  upgrade: { status: 400, code: "not-supported", text: "Upgrading the connection is not supported." },
  headersTooLarge: { status: 431, code: "too-long", text: "The headers are larger than 128 KB." },
  workerFailed: { status: 500, code: "exception", text: "The request could not be processed." },
  workerBroke: {
    status: 503,
    code: "transient",
    text: "The gateway broke off before it answered. Ask again; read first whether a write was done.",
  },
  workerDown: { status: 503, code: "transient", text: "The gateway is not running. Ask again in a second." },
  bodiesWait: {
    status: 503,
    code: "transient",
    text: "Too many of your bodies are under way. Send fewer at once.",
  },
} as const satisfies Record<string, TransportRefusal>;

// Cloudflare's edge: 16 KB of URL, 128 KB of headers (developers.cloudflare.com/workers/platform/limits).
const urlBytesMax = 16_384;
const headerBytesMax = 131_072;
/** The refusals of the front itself, in the order in which an edge would find them. */
export function refuseTransport(req: IncomingMessage): TransportRefusal | undefined {
  const url = req.url ?? "";
  // the parser takes 0.9 and 2.0 too
  if (req.httpVersion !== "1.1" && req.httpVersion !== "1.0") return refusals.malformed;
  if (url.length > urlBytesMax) return refusals.urlTooLong;
  if (req.rawHeaders.reduce((bytes, text) => bytes + text.length + 2, 0) > headerBytesMax)
    return refusals.headersTooLarge;
  if (!/^\/[\x21-\x7e]*$/u.test(url)) return refusals.malformed; // raw bytes, or a form for proxies
  const hosts = req.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host");
  if (hosts.length !== 1 || !readableHost(req.headers.host ?? "")) return refusals.malformed;
  if (!soundFraming(req) || !connectionNames(req).every((name) => hopNames.has(name)))
    return refusals.malformed;
  if (req.method === undefined || !methods.has(req.method)) return refusals.method;
  if (req.headers.upgrade !== undefined) return refusals.upgrade;
  // Miniflare has entry points of its own there (its explorer, its triggers). At Cloudflare /cdn-cgi/ never
  // reaches a Worker either.
  if (/^\/(?:cdn-cgi|__cf_local)(?:\/|$)/u.test(new URL(`http://edge${url}`).pathname))
    return refusals.reserved;
  if (!isPlainPath(url) || repeatsWithNothing(req)) return refusals.malformed;
  return undefined;
}

/**
 * True of a path that a URL parser leaves unchanged. Before the gateway sees the URL, workerd folds dot
 * segments, in any encoding, and backslashes, and removes a fragment: the gateway would then judge and record
 * a different path than the requested path.
 */
function isPlainPath(url: string): boolean {
  const [path = ""] = url.split("?", 1);
  if (/[\\#]/u.test(path) || url.includes("#")) return false;
  return path.split("/").every((segment) => !/^\.{1,2}$/u.test(segment.replaceAll(/%2e/giu, ".")));
}

// Fields that may occur once (RFC 9110 §5.3). Two values reach the gateway joined by a comma; the gateway
// refuses and records that.
const single = new Set([
  "authorization",
  "dpop",
  "content-type",
  "phylax-purpose",
  "if-none-exist",
  "if-modified-since",
  "host",
]);

/**
 * True of such a field that occurs twice and once without a value: workerd drops an empty `Authorization`
 * before a second.
 */
function repeatsWithNothing({ rawHeaders }: IncomingMessage): boolean {
  const values = new Map<string, string[]>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const [name = "", value = ""] = rawHeaders.slice(i, i + 2);
    if (single.has(name.toLowerCase()))
      values.set(name.toLowerCase(), [...(values.get(name.toLowerCase()) ?? []), value]);
  }
  return [...values.values()].some((all) => all.length > 1 && all.some((value) => value.trim() === ""));
}

/**
 * True of a host that workerd's URL parser leaves unchanged; at any other host, workerd fails instead of
 * refusing.
 */
function readableHost(host: string): boolean {
  const name = /^(?<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/iu.exec(host)?.groups?.["name"];
  return name !== undefined && URL.parse(`http://${host}/`)?.hostname === name.toLowerCase();
}

/**
 * True of a body of known length, a chunked body, or an absent body (RFC 9112 §6.1, §6.3). A body in another
 * transfer coding cannot be framed anew.
 */
function soundFraming({ headers, httpVersion }: IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": coding } = headers;
  if (coding === undefined) return length === undefined || /^\d{1,15}$/u.test(length);
  return length === undefined && coding.toLowerCase() === "chunked" && httpVersion === "1.1";
}

// Every header that Connection may name. A named header is dropped on the way, so naming Content-Length, Host
// or Authorization is an attack.
const hopNames = new Set([
  "close",
  "keep-alive",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
]);

const connectionNames = ({ headers }: IncomingMessage): string[] =>
  (headers.connection ?? "")
    .toLowerCase()
    .split(/[\t ]*,[\t ]*/u)
    .filter((name) => name !== "");

// The methods that workerd reads, so that a gateway can refuse and record them; without CONNECT, TRACE and
// TRACK, which a Worker cannot represent.
const methods = new Set(
  "GET HEAD POST PUT PATCH DELETE OPTIONS PURGE QUERY SEARCH REPORT COPY MOVE LOCK UNLOCK MKCOL PROPFIND PROPPATCH ACL MERGE CHECKOUT".split(
    " ",
  ),
);

/**
 * The parser's faults as refusals; undefined for faults of the connection itself, because no client is left
 * to read an answer.
 */
export function parserRefusal(code: string | undefined): TransportRefusal | undefined {
  if (code === "HPE_HEADER_OVERFLOW") return refusals.headersTooLarge;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return refusals.slow;
  return code?.startsWith("HPE_") === true ? refusals.malformed : undefined;
}

/** The refusal as a FHIR OperationOutcome, with the headers that go with it. */
export function face({ status, code, text }: TransportRefusal): {
  body: Buffer;
  headers: Record<string, string>;
} {
  const outcome = {
    resourceType: "OperationOutcome",
    issue: [{ severity: "error", code, diagnostics: text }],
  };
  const body = Buffer.from(JSON.stringify(outcome));
  return {
    body,
    headers: {
      "Content-Type": "application/fhir+json; charset=utf-8",
      "Cache-Control": "no-store",
      "Content-Length": String(body.length),
      ...(status === 503 && { "Retry-After": "1" }),
      ...(status === 405 && { Allow: httpVerbs.join(", ") }), // RFC 9110 §15.5.6
    },
  };
}

/**
 * The whole answer in HTTP/1.1 bytes, for a request that could not be parsed so far that there is an answer
 * to write to.
 */
export function rawAnswer(refusal: TransportRefusal): Buffer {
  const { body, headers } = face(refusal);
  const lines = Object.entries({ ...headers, Date: new Date().toUTCString(), Connection: "close" }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ""}\r\n${lines.join("")}\r\n`),
    body,
  ]);
}
