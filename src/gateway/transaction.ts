import { conditionalReferences, withReferences, type Batch, type BatchEntry } from "#fhir/batch";
import { isResourceType } from "#fhir/elements";
import { readCriteria } from "#fhir/interaction";
import { isArray, isObject, property, readJson, textAt, type Json, type JsonObject } from "#fhir/json";
import { readQuery } from "#fhir/query";
import { isId } from "#fhir/reference";
import { err, ok, type Result } from "#kernel/result";
import { evaluate } from "#policy/evaluate";
import { batchText, type EntryAnswer } from "./batch-answer.ts";
import { readAsked, type AskedEntry } from "./batch-entry.ts";
import { answerBytesMax, bytesOf, type BatchScene } from "./batch.ts";
import { readWhole } from "./forward.ts";
import { gather } from "./gather.ts";
import { onRecord } from "./on-record.ts";
import { disclosedParts, writePart, type Part } from "./parts.ts";
import { faceOf, type GatewayRefusal } from "./refusal.ts";
import type { Trail } from "./trail.ts";
import { findByCriteria } from "./write-criteria.ts";
import { planWrite, type ConcernedBy, type PlannedWrite } from "./write-plan.ts";
import { noteWritten, refusalOf } from "./write-send.ts";

export type TransactionRefusal =
  /** A reference that is a search finds no resource that may be seen, or several (FHIR R4 http §3.1.0.11.2). */
  { readonly reason: "reference_unresolved" } | { readonly reason: "too_many_references" };

// Each is a search of its own.
const searchesMax = 100;
const nobody: ConcernedBy = { patients: new Set(), unnamed: false };

/** An entry that is permitted, and what it comes to. */
interface Ready {
  readonly entry: BatchEntry;
  readonly asked: AskedEntry;
  /** Of a write. */
  readonly plan: PlannedWrite | undefined;
}

/**
 * A transaction: each entry is permitted by itself, or nothing is done. What its references and conditions search for is found among what
 * its client may see, so that the origin is asked nothing but to write, by the versions that were judged, all or nothing.
 */
export async function transact({ entries }: Batch, scene: BatchScene, trail: Trail): Promise<Response> {
  const spent = await scene.spendRequests(entries.length - 1);
  if (!spent.ok) return trail.refuse(spent.error);
  const ready = await prepare(entries, scene);
  if (!ready.ok) return trail.refuse(ready.error);
  const writes = ready.value.filter(({ plan }) => plan !== undefined);
  const sending = writes.filter(({ plan }) => plan?.kind === "send");
  const still = await scene.still();
  if (!still.ok) return trail.refuse(still.error);

  const done = new Map<Ready, EntryAnswer>();
  if (sending.length > 0) {
    const refused = await trail.intendParts(sending.map((one) => partOf("intent", one, scene)));
    if (refused !== undefined) return refused;
    const sent = await send(sending, scene);
    if (!sent.ok) {
      const outcome = { status: faceOf(sent.error).status, reason: sent.error.reason };
      return trail.concludeParts(
        sending.map((one) => partOf("write", one, scene, outcome)),
        sent.error,
      );
    }
    for (const [index, one] of sending.entries()) {
      done.set(one, sent.value[index] ?? { status: 200 });
      if (one.plan?.kind === "send") noteWritten(one.plan, scene.residences);
    }
    await trail.noteParts(sending.map((one) => partOf("write", one, scene, { status: done.get(one)?.status ?? 200 })));
  }
  const parts: Part[] = [];
  const answers: EntryAnswer[] = [];
  const room = { bytes: answerBytesMax };
  for (const one of ready.value) {
    const { plan } = one;
    if (plan === undefined) answers.push(await read(one, scene, parts, room));
    else if (plan.kind === "send") answers.push(done.get(one) ?? { status: 200 });
    else {
      const status = plan.kind === "found" ? 200 : 204;
      answers.push(plan.kind === "found" ? { status, location: `${scene.base}/${plan.type}/${plan.id}` } : { status });
      parts.push(partOf("write", one, scene, { status }));
    }
  }
  const empty: Part = {
    kind: "notice",
    what: { interaction: "transaction" },
    outcome: { status: 200 },
    patients: [],
    unnamed: [],
    counts: {},
  };
  const last = parts.length === 0 && sending.length === 0 ? [empty] : parts;
  return trail.concludeParts(last, batchText("transaction", answers, scene.requestId));
}

/** Everything that can be decided before anything is done; the first entry that is refused refuses the whole. */
async function prepare(entries: readonly BatchEntry[], scene: BatchScene): Promise<Result<readonly Ready[], GatewayRefusal>> {
  const places = await placesOf(entries, scene);
  if (!places.ok) return places;
  const ready: Ready[] = [];
  for (const entry of entries) {
    const resource = entry.resource && referringTo(entry.resource, places.value);
    const asked = readAsked(entry, resource, scene.base, scene.prefer);
    if (!asked.ok) return asked;
    if (asked.value.kind === "reading") {
      const grant = evaluate(scene.policy, scene.access, asked.value.interaction);
      if (!grant.ok) return grant;
      ready.push({ entry, asked: asked.value, plan: undefined });
      continue;
    }
    const plan = await planWrite(asked.value.write, scene);
    if (!plan.ok) return plan;
    ready.push({ entry, asked: asked.value, plan: plan.value });
  }
  return ok(ready);
}

const referringTo = (resource: JsonObject, places: ReadonlyMap<string, string>): JsonObject =>
  withReferences(resource, (reference) => places.get(reference)) as JsonObject; // of an object it makes an object

/**
 * Where references lead that are no address yet: what an entry calls a resource that is there already, by its `fullUrl`, and what a search
 * in place of an address finds. What the transaction creates keeps its `urn:`, which the origin resolves.
 */
async function placesOf(entries: readonly BatchEntry[], scene: BatchScene): Promise<Result<ReadonlyMap<string, string>, GatewayRefusal>> {
  const places = new Map<string, string>();
  for (const { fullUrl, method, segments } of entries) {
    const [type, id] = segments;
    if (fullUrl !== undefined && method !== "POST" && type !== undefined && id !== undefined) places.set(fullUrl, `${type}/${id}`);
  }
  const searched = new Set(entries.flatMap(({ resource }) => (resource === undefined ? [] : conditionalReferences(resource))));
  const conditional = entries.filter(
    ({ method, fullUrl, header }) => method === "POST" && fullUrl !== undefined && header("if-none-exist") !== null,
  );
  if (searched.size + conditional.length > searchesMax) return err({ reason: "too_many_references" });
  for (const reference of searched) {
    const [type = "", query = ""] = splitAt(reference);
    const found = await findOne(type, query, scene);
    if (!found.ok) return found;
    if (found.value === undefined) return err({ reason: "reference_unresolved" });
    places.set(reference, `${type}/${found.value}`);
  }
  for (const { fullUrl = "", segments, header } of conditional) {
    const [type = ""] = segments;
    const found = await findOne(type, (header("if-none-exist") ?? "").replace(/^\?/u, ""), scene);
    if (!found.ok) return found;
    if (found.value !== undefined) places.set(fullUrl, `${type}/${found.value}`);
  }
  return ok(places);
}

const splitAt = (reference: string): readonly string[] => [
  reference.slice(0, reference.indexOf("?")),
  reference.slice(reference.indexOf("?") + 1),
];

async function findOne(type: string, query: string, scene: BatchScene): Promise<Result<string | undefined, GatewayRefusal>> {
  if (!isResourceType(type)) return err({ reason: "resource_type_unknown" });
  const pairs = readQuery(query);
  if (!pairs.ok) return pairs;
  const criteria = readCriteria(type, pairs.value, scene.base);
  return criteria.ok ? findByCriteria(criteria.value, scene) : criteria;
}

function partOf(kind: "intent" | "write", { entry, asked, plan }: Ready, { origin }: BatchScene, outcome?: Part["outcome"]): Part {
  const interaction = asked.kind === "writing" ? asked.write.interaction : asked.interaction;
  const place = plan === undefined || plan.kind === "nothing" || plan.id === undefined ? {} : { type: plan.type, id: plan.id };
  const what = { ...onRecord(interaction), ...place, method: entry.method, path: entry.segments.join("/") };
  return writePart(
    kind,
    what,
    plan === undefined || plan.kind === "nothing" ? nobody : plan.concerned,
    outcome === undefined ? { origin } : { origin, outcome },
  );
}

/** All the writes as one, sent once. */
async function send(sending: readonly Ready[], scene: BatchScene): Promise<Result<readonly EntryAnswer[], GatewayRefusal>> {
  const entries = sending.map(({ entry, plan }) => (plan?.kind === "send" ? entryText(entry, plan) : ""));
  const body = `{"resourceType":"Bundle","type":"transaction","entry":[${entries.join(",")}]}`;
  const answer = await scene.origins.send(scene.origin, { method: "POST", path: "", body }, scene.clientCert);
  switch (answer?.kind) {
    case undefined:
      return err({ reason: "origin_unknown" });
    case "absent":
      return err({ reason: "origin_refused", status: 404 }); // the base itself: this server takes no transactions
    case "refused":
      return err(refusalOf(answer.status));
    case "unreachable":
    case "timed_out":
      return err({ reason: "write_outcome_unknown" });
    case "circuit_open":
      return err({ reason: "origin_circuit_open", retryAfterSeconds: answer.retryAfterSeconds });
    case "written": {
      const whole = await readWhole(answer.body); // that it breaks off says nothing about the writes
      const read = whole.ok ? readJson(whole.value) : undefined;
      const said = read?.ok === true && isObject(read.value) ? (property(read.value, "entry") ?? []) : [];
      return ok(sending.map((one, index) => answerOf(one, isArray(said) ? said[index] : undefined, scene.base, answer.base)));
    }
  }
}

// A name that is an address could be that of another entry's patient, and the origin would lead there what was judged as it stands.
const ownName = /^urn:(?:uuid|oid):[0-9A-Za-z.-]{1,64}$/u;

/** One write as the origin is asked to do it. */
export function entryText(
  { fullUrl }: Pick<BatchEntry, "fullUrl">,
  { write }: Pick<Extract<PlannedWrite, { kind: "send" }>, "write">,
): string {
  const { method, path, body, version } = write;
  const request = JSON.stringify({ method, url: path, ...(version === undefined ? {} : { ifMatch: `W/"${version}"` }) });
  const name = fullUrl === undefined || !ownName.test(fullUrl) ? "" : `"fullUrl":${JSON.stringify(fullUrl)},`;
  return `{${name}${body === undefined ? "" : `"resource":${body},`}"request":${request}}`;
}

/** Of what the origin says of an entry its place alone is taken, and told below the gateway's own base. */
function answerOf({ plan }: Ready, said: Json | undefined, base: string, origin: string): EntryAnswer {
  if (plan?.kind !== "send") return { status: 200 };
  const status = plan.write.method === "POST" ? 201 : plan.write.method === "PUT" ? 200 : 204;
  if (status === 204) return { status };
  const response = isObject(said) ? property(said, "response") : undefined;
  const location = isObject(response) ? textAt(response, "location") : undefined;
  const below = location?.startsWith(`${origin}/`) === true ? location.slice(origin.length + 1) : location;
  const [type, id = plan.id, history, version] = below?.split("/") ?? [plan.type];
  if (type !== plan.type || id === undefined || !isId(id)) return { status };
  const at = history === "_history" && version !== undefined && isId(version) ? `/_history/${version}` : "";
  return { status, location: `${base}/${plan.type}/${id}${at}` };
}

/** Reads come last, and see what was written (FHIR R4 http §3.1.0.11.2). What was done stays done when one of them finds nothing. */
async function read(one: Ready, scene: BatchScene, parts: Part[], room: { bytes: number }): Promise<EntryAnswer> {
  const { policy, access, origin, at, who, clientCert, ports, residences } = scene;
  if (one.asked.kind !== "reading") return { status: 200 };
  const { interaction, isHead } = one.asked;
  const what = { ...onRecord(interaction), method: one.entry.method, path: one.entry.segments.join("/") };
  const grant = evaluate(policy, access, interaction);
  const found = grant.ok ? await gather({ origin, at, who, grant: grant.value, place: undefined, clientCert, residences }, ports) : grant;
  const fits = !found.ok || bytesOf(found.value) <= room.bytes;
  const disclosed = fits ? found : err({ reason: "answer_too_large" } as const);
  const still = disclosed.ok ? await scene.still() : disclosed;
  const spent = disclosed.ok && still.ok ? await scene.spendRecords(disclosed.value) : still;
  if (!disclosed.ok || !spent.ok) {
    const refusal: GatewayRefusal = !disclosed.ok ? disclosed.error : spent.ok ? { reason: "answer_too_large" } : spent.error;
    const { status } = faceOf(refusal);
    parts.push({ kind: "refusal", what, outcome: { status, reason: refusal.reason }, patients: [], unnamed: [], counts: {} });
    return { status, refusal };
  }
  room.bytes -= bytesOf(disclosed.value);
  parts.push(...disclosedParts(what, 200, disclosed.value));
  return { status: 200, disclosure: disclosed.value, bodiless: isHead };
}
