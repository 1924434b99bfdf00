import { addressOf } from "#entrypoint/edge";
import { readAtMost } from "#entrypoint/bounded-body";
import { faceOf } from "#entrypoint/gateway-face";
import { isArray, isObject, property, readObject, textAt, type JsonObject } from "#fhir/json/json";
import { isLenient } from "#fhir/preconditions";
import { readInteraction, type ExportStep } from "#fhir/interaction";
import type { ResourceType } from "#fhir/r4/elements";
import { readElementList } from "#fhir/search/element-list";
import { isTextTooLong, type QueryPair } from "#fhir/search/query";
import type { Caller } from "#gateway/admission/caller";
import { admit, type Arrival, type Call } from "#gateway/http/admit";
import { outcomeAnswer } from "#gateway/http/answer";
import { addRefusalHeaders, recordedFields, type AnswerHeadersPorts } from "#gateway/http/answer-headers";
import { httpContent } from "#gateway/http/http-content";
import { proveSigned, type ProveSignedPorts } from "#gateway/http/prove-signed";
import { sendWindows } from "#gateway/http/send-windows";
import type { GatewayRefusal } from "#gateway/outcome";
import { pass, refuseFurther, type Door } from "#gateway/pipeline";
import type { ReleasedAnswer } from "#gateway/release";
import { storableEvidence } from "#identity/authority/authority";
import { certificateEnd } from "#identity/certificate/certificate";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import type { AskedRun } from "#limits/bundle-run";
import { ExportAsking, makeAuthority, type ProvenRequest } from "./asking.ts";
import { readBundleJob, type AskedBundleJob } from "./bundle-job.ts";
import { download, rowsOfPage, type DownloadPorts } from "./download.ts";
import type {
  ExportJobs,
  StoredBundle,
  StoredExport,
  StoredFile,
  StoredJob,
  StoredPatients,
} from "./export-jobs.ts";
import { exportedTypes, type SearchedTypes } from "./exported-types.ts";
import { exportStatusUrl, manifestOf, messagesOf } from "./manifest.ts";
import { patientsNow } from "./members.ts";
import {
  readExportParameters,
  readExportQuery,
  type ExportLevel,
  type ExportRequest,
} from "./read-export.ts";

export interface BulkPorts extends DownloadPorts, ProveSignedPorts, AnswerHeadersPorts {
  readonly exports: ExportJobs;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

/** A request at an address of exports, as it was read for a proven caller. */
type Asked =
  | { readonly kind: "start"; readonly request: ExportRequest }
  | { readonly kind: "bundle"; readonly job: AskedBundleJob }
  | { readonly kind: "status"; readonly stored: StoredExport }
  | {
      readonly kind: "run";
      readonly stored: StoredBundle;
      readonly run: Exclude<AskedRun, { kind: "early" }>;
    }
  | { readonly kind: "cancel"; readonly stored: StoredJob }
  | { readonly kind: "file"; readonly stored: StoredExport; readonly file: StoredFile | "messages" };

const dayMilliseconds = 86_400_000;
const groupMilliseconds = 300_000;
/** A transaction that waits for longer is better sent anew: the rows that it changes have gone on. */
const bundleMilliseconds = 3_600_000;
/** Between two questions how far a bundle is. */
const pollSeconds = "2";
const parametersBytesMax = 1_048_576;

/**
 * Answers a request for an export, its status or a file (FHIR Bulk Data Access 3.0.0), on record; and a batch or a
 * transaction that is done as a job (FHIR R5 async-bundle).
 */
export async function serveExport(arrival: Arrival, ports: BulkPorts): Promise<Response> {
  const { id, turn, at, method, continent, headers } = arrival;
  const request = { id, turn, at, method, continent, address: addressOf(headers) };
  const call = admit(withoutAccept(arrival));
  const door = call.ok ? ok(new BulkDoor(call.value, arrival, ports)) : call;
  const answer = await pass(request, door, ports);
  const { outcome } = answer;
  if (outcome.kind === "refused") return refusedAnswer(outcome.refusal, answer);
  if (!door.ok || door.value.asked === undefined || door.value.caller === undefined)
    throw new Error("an answer without a question");
  const { asked, caller } = door.value;
  const proven: ProvenRequest = { caller, call: door.value.call, request };
  const base = ports.fhirBase(proven.call.origin);
  const fields = new Headers(recordedFields(arrival, answer, ports));
  switch (asked.kind) {
    case "start":
      return startExport(asked.request, outcome.kind === "local" ? outcome.text : "{}");
    case "bundle":
      return startBundle(asked.job);
    case "cancel":
      await ports.exports.end(caller.who.client.id, asked.stored.id);
      return new Response(null, { status: 202, headers: fields });
    case "status":
      return sendState(JSON.stringify(manifestOf(asked.stored)), "application/json", asked.stored);
    case "run":
      return sendRun(asked.run, asked.stored);
    case "file":
      return sendFile(asked.stored, asked.file);
  }

  async function startExport(wanted: ExportRequest, statement: string): Promise<Response> {
    const patients = {
      group: wanted.level.kind === "group" ? wanted.level.id : undefined,
      named: wanted.patients,
    };
    const asked = await groupIsHere(patients);
    if (!asked.ok) return refusedAnswer(asked.error, answer);
    const searched = searchedTypes(statement);
    const stored = storedExport(wanted, patients, searched);
    const withheld = wanted.types.length > 0 && !isLenient(headers.get("prefer")) ? stored.withheldTypes : [];
    const readable =
      withheld.length === 0
        ? readableSearches(stored, searched)
        : err({
            reason: "export_type_withheld",
            parameter: withheld.map(({ type }) => type).join(),
          } as const);
    return begunAnswer(
      readable.ok ? await ports.exports.addExport(caller.who.client.id, stored) : readable,
      stored,
    );
  }

  async function begunAnswer(
    begun: Result<unknown, GatewayRefusal>,
    stored: Pick<StoredJob, "base" | "id">,
  ): Promise<Response> {
    if (!begun.ok) {
      const own = { ...request, id: ports.newId() };
      return refusedAnswer(begun.error, await refuseFurther(own, proven.call, caller, begun.error, ports));
    }
    fields.set("content-location", exportStatusUrl(stored));
    return new Response(null, { status: 202, headers: fields });
  }

  async function startBundle({ body, key, ...job }: AskedBundleJob): Promise<Response> {
    const jobId = ports.newId();
    const until = instant(at + bundleMilliseconds);
    const made = await makeAuthority(proven, "bundle", until, ports);
    if (!made.ok) return begunAnswer(made, { base, id: jobId });
    const client = caller.who.client.id;
    const stored: StoredBundle = {
      ...storedFacts(jobId),
      ...job,
      level: "bundle",
      client,
      authority: made.value,
      until,
      key: key ?? `"${jobId}"`,
      address: request.address,
      continent,
      traceId: proven.call.traceId,
    };
    let isKept = false;
    try {
      const begun = await ports.exports.addExport(client, stored, body);
      isKept = begun.ok;
      return await begunAnswer(begun, stored);
    } finally {
      if (!isKept) await ports.authorities.end(client, stored.authority);
    }
  }

  /** Reads the Group of an export as a download will, so that the client learns at once that it may not. */
  async function groupIsHere(patients: StoredPatients): Promise<Result<unknown, GatewayRefusal>> {
    if (patients.group === undefined) return ok(undefined);
    const until = instant(at + groupMilliseconds);
    const begun = await ExportAsking.begin(proven, until, ports);
    if (!begun.ok) return begun;
    try {
      return await patientsNow(patients, begun.value, base, at);
    } finally {
      await begun.value.end();
    }
  }

  function storedExport(
    wanted: ExportRequest,
    patients: StoredPatients,
    searched: SearchedTypes,
  ): StoredExport {
    const { exported, withheld } = exportedTypes(wanted, searched);
    const byTime = (type: string) => searched.get(type)?.has("_lastUpdated") === true;
    return {
      ...storedFacts(ports.newId()),
      request: arrival.url,
      level: wanted.level.kind,
      patients,
      files: exported.map((type) => fileFor(type, wanted, byTime(type) ? at : undefined)),
      ignored: wanted.ignored,
      withheldTypes: withheld,
    };
  }

  function storedFacts(jobId: string) {
    return {
      id: jobId,
      owner: ownerOf(caller),
      base,
      origin: proven.call.origin,
      purpose: caller.who.purpose,
      startedAt: at,
      expires: instant(at + dayMilliseconds),
    };
  }

  async function sendFile(stored: StoredExport, wanted: StoredFile | "messages"): Promise<Response> {
    fields.set("content-type", "application/fhir+ndjson");
    fields.set("expires", new Date(stored.expires).toUTCString());
    const isZipped = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|\s|$))/iu.test(headers.get("accept-encoding") ?? "");
    if (isZipped) fields.set("content-encoding", "gzip");
    fields.set("vary", "accept-encoding");
    if (method === "HEAD") return new Response(null, { headers: fields });
    const begun =
      wanted === "messages" ? ok(messageLines(stored)) : await download(wanted, stored, proven, ports);
    if (!begun.ok) return refusedAnswer(begun.error, answer);
    const { readable, work } = sendWindows(begun.value);
    ports.keepAlive(work);
    if (!isZipped) return new Response(readable, { headers: fields });
    // A break of the lines ends the compressed stream without its end, which no reader takes for a whole file.
    const zipped = readable.pipeThrough(new CompressionStream("gzip"));
    return new Response(zipped, { headers: fields, encodeBody: "manual" });
  }

  function sendState(body: string, mediaType: string, { expires }: StoredJob): Response {
    fields.set("content-type", mediaType);
    fields.set("expires", new Date(expires).toUTCString());
    return new Response(body, { headers: fields });
  }

  function sendRun(run: Extract<Asked, { kind: "run" }>["run"], stored: StoredBundle): Response {
    if (run.kind === "done") return sendState(run.answer, "application/fhir+json; charset=utf-8", stored);
    fields.set("retry-after", pollSeconds);
    fields.set("x-progress", run.tries === 0 ? "not begun" : `try ${run.tries}`);
    return new Response(null, { status: 202, headers: fields });
  }

  function refusedAnswer(refusal: GatewayRefusal, released: ReleasedAnswer): Response {
    const face = faceOf(refusal);
    const extra = new Headers(recordedFields(arrival, released, ports));
    addRefusalHeaders(
      extra,
      refusal,
      face.status,
      arrival,
      call.ok ? call.value : undefined,
      released,
      ports,
    );
    return outcomeAnswer(id, face, "application/fhir+json", extra);
  }
}

/** Reads the address and the parameters of an export. The core proves the caller, and records the answer. */
class BulkDoor implements Door {
  readonly call: Call;
  asked: Asked | undefined;
  caller: Caller | undefined;
  readonly #arrival: Arrival;
  readonly #ports: BulkPorts;

  constructor(call: Call, arrival: Arrival, ports: BulkPorts) {
    this.call = call;
    this.#arrival = arrival;
    this.#ports = ports;
  }

  readonly proveSigned: Door["proveSigned"] = async (who) => {
    const proven = await proveSigned(this.call, this.#arrival, who, this.#ports);
    return proven.ok ? ok(proven.value.signedBy) : proven;
  };

  trust(caller: Caller): void {
    this.caller = caller;
    this.#arrival.body?.trust?.();
  }

  /** The question to the core is the client's own permissions: they say which types a file may be made of. */
  async interpret(): ReturnType<Door["interpret"]> {
    const asked = await this.#read();
    if (!asked.ok) return asked;
    this.asked = asked.value;
    return ok({
      interaction: { kind: "capabilities", asExport: recordedAs(asked.value) },
      place: undefined,
      content: httpContent(this.call, { headers: this.#arrival.headers, body: undefined }),
      isBodiless: false,
      isKnown: () => false,
    });
  }

  async #read(): Promise<Result<Asked, GatewayRefusal>> {
    const { caller, call } = this;
    if (caller === undefined) throw new Error("nobody is proven");
    // A download goes on after its token has ended, so a caller whose proof cannot be stored gets no export.
    const { token, certificate, who } = caller;
    const shown = { who, token, certificate, certificateEnds: certificateEnd(call.tlsClientAuth) };
    const storable = storableEvidence(shown, await this.#ports.issuers.of(token.issuer));
    if (!storable.ok) return storable;
    const [first = "", second = "", third = ""] = call.segments;
    if (first === "") return this.#bundle(caller);
    if (first === "$export-status")
      return this.#found(second, ["GET", "DELETE"], async (stored) => {
        if (call.method === "DELETE") return ok({ kind: "cancel", stored });
        return stored.level === "bundle" ? this.#run(stored, caller) : ok({ kind: "status", stored });
      });
    if (first === "$export-file")
      return this.#found(second, ["GET", "HEAD"], async (stored) => fileOf(stored, third));
    const level = levelOf(call.segments);
    if (level === undefined)
      return err({
        reason: "interaction_not_supported",
        interaction: "operation",
        operation: "$export",
      });
    const request = await this.#request(level);
    if (!request.ok) return request;
    return isTextTooLong(statedIn(request.value))
      ? err({ reason: "form_too_large" })
      : ok({ kind: "start", request: request.value });
  }

  /** A POST to the base: the gateway passes on no other request of the base. */
  async #bundle({ who }: Caller): Promise<Result<Asked, GatewayRefusal>> {
    const { method, segments, query, origin } = this.call;
    const base = this.#ports.fhirBase(origin);
    const read = readInteraction(method, segments, query, base);
    if (!read.ok) return read;
    const content = httpContent(this.call, this.#arrival);
    const job = await readBundleJob(content, base, who, this.#ports);
    return job.ok ? ok({ kind: "bundle", job: job.value }) : job;
  }

  async #run(stored: StoredBundle, { who }: Caller): Promise<Result<Asked, GatewayRefusal>> {
    const run = await this.#ports.exports.askRun(who.client.id, stored.id);
    if (run === undefined) return err({ reason: "export_unknown" });
    return run.kind === "early"
      ? err({ reason: "polled_too_fast", retryAfterSeconds: 1 })
      : ok({ kind: "run", stored, run });
  }

  async #request(level: ExportLevel): Promise<Result<ExportRequest, GatewayRefusal>> {
    const { method, query, origin } = this.call;
    const { headers, body } = this.#arrival;
    const handling = isLenient(headers.get("prefer")) ? "lenient" : "strict";
    const read = async () => {
      if (method === "GET") return readExportQuery(new URLSearchParams(query), level, handling);
      const bytes = await readAtMost(body, parametersBytesMax);
      if (bytes === undefined) return err({ reason: "body_too_large" } as const);
      const parameters = bytes.length === 0 ? { resourceType: "Parameters" } : readObject(bytes);
      if (parameters === undefined)
        return err({ reason: "export_parameter_malformed", parameter: "Parameters" } as const);
      return readExportParameters(parameters, level, handling, this.#ports.fhirBase(origin));
    };
    if (method !== "GET" && method !== "POST")
      return err({ reason: "method_not_supported", allow: ["GET", "POST"] });
    return read();
  }

  /** A job of this caller. A job of another caller is as unknown as no job. */
  async #found(
    job: string,
    allow: readonly string[],
    read: (stored: StoredJob) => Promise<Result<Asked, GatewayRefusal>>,
  ): Promise<Result<Asked, GatewayRefusal>> {
    if (!allow.includes(this.call.method)) return err({ reason: "method_not_supported", allow });
    const { caller, call } = this;
    const stored =
      caller === undefined || !/^[0-9a-f]{32}$/u.test(job)
        ? undefined
        : await this.#ports.exports.find(caller.who.client.id, job);
    const isOwn =
      stored !== undefined &&
      caller !== undefined &&
      stored.owner === ownerOf(caller) &&
      stored.base === this.#ports.fhirBase(call.origin);
    return isOwn ? read(stored) : err({ reason: "export_unknown" });
  }
}

function fileOf(stored: StoredJob, number: string): Result<Asked, GatewayRefusal> {
  if (stored.level === "bundle" || !/^[1-9]\d{0,5}$/u.test(number)) return err({ reason: "export_unknown" });
  const at = Number(number);
  const file = stored.files[at - 1];
  if (file !== undefined) return ok({ kind: "file", stored, file });
  return at === stored.files.length + 1 && messagesOf(stored).length > 0
    ? ok({ kind: "file", stored, file: "messages" })
    : err({ reason: "export_unknown" });
}

function levelOf([first = "", second, third]: readonly string[]): ExportLevel | undefined {
  if (first === "$export") return { kind: "system" };
  if (first === "Patient" && second === "$export") return { kind: "patient" };
  return first === "Group" && third === "$export" ? { kind: "group", id: second ?? "" } : undefined;
}

/** Client, person, purpose and the key or certificate of the token, as text. */
function ownerOf({ who, token }: Caller): string {
  const { issuer, subject, purpose, patient } = who;
  return JSON.stringify([who.client.id, issuer, subject, purpose, patient ?? null, token.binding]);
}

/** The types that the client may search, each with its parameters, by its own statement of capabilities. */
function searchedTypes(statement: string): SearchedTypes {
  const read = readObject(utf8(statement));
  const inside = (object: JsonObject | undefined, name: string): readonly JsonObject[] => {
    const list = object && property(object, name);
    return isArray(list) ? list.filter(isObject) : [];
  };
  const types = inside(read, "rest").flatMap((rest) => inside(rest, "resource"));
  const mayBeSearched = (type: JsonObject) =>
    inside(type, "interaction").some((each) => textAt(each, "code") === "search-type");
  const parameters = (type: JsonObject) =>
    new Set(inside(type, "searchParam").map((each) => textAt(each, "name")));
  return new Map(
    types.filter(mayBeSearched).map((type) => [textAt(type, "type") ?? "", parameters(type)] as const),
  );
}

/**
 * Refuses filters of which no search is possible, before a file breaks at them. A parameter that the client's own
 * statement of capabilities lacks is hidden, or unknown.
 */
function readableSearches(
  { files, base }: StoredExport,
  searched: SearchedTypes,
): Result<unknown, GatewayRefusal> {
  for (const { type, queries } of files)
    for (const query of queries) {
      const read = readInteraction("GET", [type], query, base);
      if (!read.ok) return read;
      const names = query.split("&").map((part) => /^[^=:.]*/u.exec(part)?.[0] ?? "");
      const hidden = names.find((name) => !ofDoor.has(name) && searched.get(type)?.has(name) !== true);
      if (hidden !== undefined) return err({ reason: "parameter_hidden", parameter: hidden });
    }
  return ok(undefined);
}

/**
 * A file with a search for each filter of its type. Rows that changed at the start or later are left to the next
 * export, whose `_since` is this start: no row is in both. A policy or a form may hide the times of rows: no search by
 * time is possible then, and `startedAt` is undefined.
 */
function fileFor(
  type: ResourceType,
  { since, until, typeFilters, elements }: ExportRequest,
  startedAt: number | undefined,
): StoredFile {
  const named = elements.flatMap(({ type: of, path }) =>
    (of ?? type) === type && readElementList(type, path) !== undefined ? [path] : [],
  );
  // Never whole rows of a type that lacks each element.
  const wanted = named.length === 0 && elements.some(({ type: of }) => of === undefined) ? ["id"] : named;
  const limits = [
    ...(since === undefined ? [] : [`_lastUpdated=ge${encodeURIComponent(since)}`]),
    ...(until === undefined ? [] : [`_lastUpdated=lt${encodeURIComponent(until)}`]),
    ...(startedAt === undefined
      ? []
      : [`_lastUpdated=lt${encodeURIComponent(new Date(startedAt).toISOString())}`]),
    ...(wanted.length === 0 ? [] : [`_elements=${wanted.join(",")}`]),
    `_count=${rowsOfPage}`,
  ].join("&");
  const filters = typeFilters.filter((filter) => filter.type === type);
  return {
    type,
    queries: filters.length === 0 ? [limits] : filters.map(({ query }) => `${query}&${limits}`),
  };
}

/** Parameters of a page, and of a search through other types: the core alone judges them. */
const ofDoor: ReadonlySet<string> = new Set(["_count", "_elements", "_has"]);

/** The sealed record has the parameters of the kick-off, the patients too. */
function recordedAs(asked: Asked): ExportStep {
  switch (asked.kind) {
    case "start": {
      const parameters = statedIn(asked.request).map(({ name, value }) => [name, value] as const);
      return { interaction: "$export", parameters };
    }
    case "bundle":
      return { interaction: "$async" };
    case "run":
      return { interaction: "$export-status" };
    case "status":
    case "cancel":
    case "file":
      return { interaction: `$export-${asked.kind}` };
  }
}

function statedIn(request: ExportRequest): readonly QueryPair[] {
  const { level, since, until, types, typeFilters, elements, patients } = request;
  const stated = {
    group: level.kind === "group" ? [level.id] : [],
    _since: since === undefined ? [] : [since],
    _until: until === undefined ? [] : [until],
    _type: types,
    _typeFilter: typeFilters.map(({ type, query }) => `${type}?${query}`),
    _elements: elements.map(({ type, path }) => (type === undefined ? path : `${type}.${path}`)),
    patient: patients ?? [],
  };
  return Object.entries(stated).flatMap(([name, texts]) => texts.map((value) => ({ name, value })));
}

async function* messageLines(stored: StoredExport): AsyncGenerator<Uint8Array> {
  yield utf8(
    messagesOf(stored)
      .map((line) => `${JSON.stringify(line)}\n`)
      .join(""),
  );
}

/** The core writes no NDJSON, and each answer of this door has a fixed form. */
const withoutAccept = (arrival: Arrival): Arrival => ({
  ...arrival,
  headers: {
    get: (name) => (name === "accept" ? null : arrival.headers.get(name)),
    has: (name) => name !== "accept" && arrival.headers.has(name),
    [Symbol.iterator]: () => arrival.headers[Symbol.iterator](),
  },
});
