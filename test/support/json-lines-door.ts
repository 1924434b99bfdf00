import { operationOutcome, bodyOutcome, doneOutcome } from "#fhir/outcome";
import { readInteraction } from "#fhir/interaction";
import { isLenient } from "#fhir/preconditions";
import { faceOf } from "#entrypoint/gateway-face";
import { addressOf } from "#entrypoint/edge";
import { receiptHeader } from "#entrypoint/request-records";
import { err, ok } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { pageBinding, sealedPageIn } from "#gateway/admission/page-links";
import { bundleText } from "#gateway/change/bundle-text";
import { admit, type Arrival } from "#gateway/http/admit";
import { serve as serveHttp, type FhirDoorPorts } from "#gateway/http/fhir-door";
import { pass, type Door } from "#gateway/pipeline";
import type { GatewayPorts } from "#gateway/ports";
import type { ReleasedAnswer } from "#gateway/release";

/** A request of the second door: a line of JSON. */
type Line = Pick<Arrival, "id" | "turn" | "at" | "continent" | "tlsClientAuth"> & {
  readonly address: string;
  readonly verb: string;
  readonly origin: string;
  readonly what: string;
  readonly query: string;
  readonly page?: string;
  readonly scheme?: "bearer" | "dpop";
  readonly token?: string;
  readonly purpose?: string;
  readonly justification?: string;
  readonly stated: Readonly<Record<string, string>>;
  readonly content: string;
};

/** A second door: a line of JSON in, lines of JSON out. It holds no rule about who may see what. */
export async function* answerLine(text: string, ports: GatewayPorts): AsyncGenerator<string> {
  const line = JSON.parse(text) as Line;
  const { id, turn, at, address, continent, verb: method } = line;
  const request = { id, turn, at, address, continent, method };
  const { outcome, recorded } = await pass(request, ok(lineDoor(line, ports)), ports);
  const { windows, ...head } = said(outcome, id);
  yield JSON.stringify({ id, ...head, ...receiptHeader(recorded) });
  for await (const window of windows)
    yield JSON.stringify({ id, window: Buffer.from(window).toString("utf8") });
  yield JSON.stringify({ id, end: true });
}

interface Said {
  readonly status: number;
  readonly windows: AsyncIterable<Uint8Array> | readonly Uint8Array[];
  readonly etag?: string | undefined;
  readonly location?: string | undefined;
}

function said(outcome: ReleasedAnswer["outcome"], id: string): Said {
  const bytes = (value: object) => [Buffer.from(JSON.stringify(value))];
  switch (outcome.kind) {
    case "refused": {
      const { status, code, text, exception } = faceOf(outcome.refusal);
      const issues = "issues" in outcome.refusal ? outcome.refusal.issues : [];
      const one = operationOutcome({ severity: "error", code, text, requestId: id, exception });
      return { status, windows: bytes(issues.length > 0 ? bodyOutcome(issues, id) : one) };
    }
    case "local":
      return { status: 200, windows: [Buffer.from(outcome.text)] };
    case "shown": {
      const { status, body = [], validators } = outcome;
      return { status, windows: body instanceof Uint8Array ? [body] : body, etag: validators?.etag };
    }
    case "written": {
      const { status, refusal, reason, disclosure, location } = outcome.write;
      if (refusal !== undefined) return said({ kind: "refused", refusal }, id);
      const shown = reason === undefined ? (disclosure?.windows ?? []) : [];
      const etag = outcome.validators?.etag;
      return { status, windows: shown.map(({ body }) => body), location, etag };
    }
    case "batch":
    case "transaction": {
      const { kind, entries, doneText } = outcome;
      const whole =
        doneText === undefined ? [bundleText(kind, entries, id)] : bytes(doneOutcome(id, doneText));
      return { status: 200, windows: whole };
    }
  }
}

function lineDoor(line: Line, { fhirBase, pages }: GatewayPorts): Door {
  const { at, verb, origin, what, query, stated, content, token, scheme, tlsClientAuth } = line;
  const { purpose, justification } = line;
  const segments = what.split("/").filter(Boolean);
  const shown = { at, origin, segments, scheme, tlsClientAuth, purpose, justification };
  return {
    call: Object.assign(shown, {
      traceId: undefined,
      proof: undefined,
      method: verb,
      path: what,
      token: token === undefined ? undefined : new Secret(token),
    }),
    proveSigned: async () => err({ reason: "request_signature_missing" }),
    trust: () => undefined,
    async interpret(who) {
      const place =
        line.page === undefined ? undefined : await pages.open(line.page, pageBinding(who, what), at);
      if (place?.ok === false) return place;
      const form = place?.value.question ?? (what.endsWith("_search") ? content : "");
      const may = isLenient(stated["prefer"] ?? null);
      const read = readInteraction(verb, segments, query, fhirBase(origin), form, may);
      if (!read.ok) return read;
      const isPosted = read.value.kind === "search" && place?.value.posted === true;
      return ok({
        interaction: isPosted ? { ...read.value, posted: true } : read.value,
        place: place?.value,
        isBodiless: verb === "HEAD",
        isKnown: ({ etag }) => stated["if-none-match"] === etag,
        content: {
          stated: (name) => stated[name] ?? null,
          sameRequest: [verb, what, query, purpose ?? null],
          read: async () => (content === "" ? err({ reason: "body_missing" }) : ok(Buffer.from(content))),
        },
      });
    },
  };
}

/**
 * In place of the FHIR door: a test's request goes through the second door, and the lines of its answer come back as
 * a Response. A request that cannot be said in a line goes to the FHIR door.
 */
export async function serve(arrival: Arrival, ports: FhirDoorPorts): Promise<Response> {
  const { id, turn, at, continent, tlsClientAuth, method, headers } = arrival;
  const call = admit(arrival);
  if (!call.ok || call.value.proof !== undefined) return serveHttp(arrival, ports);
  const { origin, segments, query, scheme, token, purpose, justification } = call.value;
  const page = method === "GET" || method === "HEAD" ? sealedPageIn(query) : undefined;
  const pieces: Uint8Array[] = [];
  for await (const piece of arrival.body ?? []) pieces.push(piece);
  const line = {
    id,
    turn,
    at,
    continent,
    tlsClientAuth,
    origin,
    purpose,
    justification,
    scheme,
    token: token?.reveal(),
    address: addressOf(headers),
    verb: method,
    what: segments.join("/"),
    query: page === undefined ? query : page.others.join("&"),
    page: page?.sealed,
    stated: Object.fromEntries(headers),
    content: Buffer.concat(pieces).toString("utf8"),
  };
  const lines = answerLine(JSON.stringify(line), ports);
  const first = await lines.next();
  const { status, etag, location, ...head } = JSON.parse(String(first.value)) as Record<string, string>;
  const windows: string[] = [];
  for await (const text of lines) windows.push((JSON.parse(text) as { window?: string }).window ?? "");
  const body = windows.join("");
  return new Response(body === "" ? null : body, {
    status: Number(status),
    headers: {
      "x-request-id": id,
      ...(head["phylax-receipt"] !== undefined && { "phylax-receipt": head["phylax-receipt"] }),
      ...(body !== "" && { "content-type": "application/fhir+json; charset=utf-8" }),
      ...(etag !== undefined && { etag }),
      ...(location !== undefined && { location }),
    },
  });
}
