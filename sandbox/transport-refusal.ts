import { STATUS_CODES } from "node:http";

/** A refusal by the transport, before any worker is asked: unrecorded, as Cloudflare's edge would refuse without one. */
export interface TransportRefusal {
  readonly status: number;
  /** From the FHIR value set issue-type. */
  readonly code: "invalid" | "not-found" | "not-supported" | "too-long" | "timeout" | "transient" | "exception";
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
  workerBroke: { status: 502, code: "transient", text: "The gateway broke off before it answered." },
  workerDown: { status: 503, code: "transient", text: "The gateway is not running." },
} as const satisfies Record<string, TransportRefusal>;

/** The refusal as a FHIR OperationOutcome, with the headers that go with it. */
export function face({ code, text }: TransportRefusal): { body: Buffer; headers: Record<string, string> } {
  const outcome = { resourceType: "OperationOutcome", issue: [{ severity: "error", code, diagnostics: text }] };
  const body = Buffer.from(JSON.stringify(outcome));
  return {
    body,
    headers: { "Content-Type": "application/fhir+json; charset=utf-8", "Cache-Control": "no-store", "Content-Length": String(body.length) },
  };
}

/** The whole answer in HTTP/1.1 bytes, for a request that could not be parsed so far that there is an answer to write to. */
export function rawAnswer(refusal: TransportRefusal): Buffer {
  const { body, headers } = face(refusal);
  const lines = Object.entries({ ...headers, Date: new Date().toUTCString(), Connection: "close" }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status] ?? ""}\r\n${lines.join("")}\r\n`), body]);
}
