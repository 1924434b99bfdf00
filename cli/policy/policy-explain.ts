import { Misuse } from "../misuse.ts";
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { readInteraction, type Interaction } from "#fhir/interaction";
import { isObject, readJson, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { isId, parseReference } from "#fhir/r4/reference";
import { instant } from "#kernel/clock";
import { explainSample, sampleBase, type SampleExplanation } from "#authoring/explain-sample";
import { showsInEachRule } from "#policy/relations";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { individualOf } from "#policy/consent/individual";
import { readConsent } from "#policy/consent/read-consent";
import { storedFormOf } from "#policy/consent/stored-form";
import type { FiledConsent } from "#policy/consent/decide-by-consents";
import { readActor, withActorNames } from "#policy/consent/who-is-meant";
import { explainConsent } from "#authoring/explain-consent";
import { explain, type Explanation } from "#authoring/explain";
import type { Explained, ExplainStep } from "#authoring/explain-step";
import { callerByPolicy, callerByRegistry, type PolicyCaller } from "./policy-caller.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

interface Report extends Omit<Explanation, "refused"> {
  readonly refused: string | undefined;
  readonly sample?: SampleExplanation;
}

/**
 * Prints why a request would be permitted or refused, rule by rule, with the query to the origin and the part
 * of a sample that would be disclosed. It sends no request and writes no record. Returns 0 when the request
 * would be permitted, 1 when it would be refused, 2 when the command was misused.
 */
export async function policyExplain(args: readonly string[]): Promise<number> {
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const text = { type: "string" } as const;
  const { values, positionals } = readCall(args, {
    registry: text,
    policy: text,
    client: text,
    purpose: text,
    origin: { type: "string", default: "main" },
    scope: text,
    patient: text,
    user: text,
    "user-patient": many,
    at: text,
    sample: text,
    consent: many,
    actor: many,
  });
  const { registry, policy, client, purpose, origin, scope, patient, user } = values;
  if (registry === undefined && policy === undefined)
    throw new Misuse("name a registry file (--registry) or a policy (--policy)");
  const options = { registry, policy, client, purpose, origin, scope, patient };
  const caller =
    registry === undefined ? callerByPolicy(options) : await callerByRegistry(options, timeOf(values.at));
  const sample = values.sample === undefined ? undefined : readSample(values.sample);
  const about = explainedBy(caller, patient, user, values["user-patient"]);
  const consents = consentsIn(values.consent, values.actor, about.access.at ?? instant(Date.now()));
  const names = { client, patient, user, organization: caller.organization };
  const report = reportOf(
    caller,
    withConsents(about, consents, names),
    positionals.join(" "),
    sample,
    consents,
  );
  giveResult(report);
  print(report);
  return report.refused === undefined ? 0 : 1;
}

function reportOf(
  caller: PolicyCaller,
  about: Explained,
  request: string,
  sample: JsonObject | undefined,
  consents: readonly GivenConsent[],
): Report {
  if (caller.refused !== undefined) return { refused: caller.refused, steps: caller.steps, asks: [] };
  const [method, path, query] = partsOf(request);
  // This command reads the form of `_search` from the request's query.
  const posted = method === "POST" && path.at(-1) === "_search";
  const read = readInteraction(method, path, posted ? "" : query, undefined, posted ? query : "");
  if (!read.ok) {
    const parameter = "parameter" in read.error ? ` (${read.error.parameter})` : "";
    const step: ExplainStep = {
      ok: false,
      of: "request",
      says: `${request}: ${read.error.reason}${parameter}`,
    };
    return { refused: read.error.reason, steps: [...caller.steps, step], asks: [] };
  }
  const step: ExplainStep = { ok: true, of: "request", says: `understood as ${spoken(read.value)}` };
  const { refused, steps, asks } = explain(about, read.value);
  const told = consents.map(({ consent }) => explainConsent(consent.consent, consent.rules, about));
  const explained = { refused, steps: [...caller.steps, step, ...steps, ...told], asks };
  return sample === undefined
    ? explained
    : { ...explained, sample: explainSample(about, read.value, sample) };
}

function partsOf(request: string): readonly [method: string, path: readonly string[], query: string] {
  const {
    method = "GET",
    path,
    query = "",
  } = /^(?:(?<method>[A-Z]+) +)?\/?(?<path>[^?\s]*)(?:\?(?<query>\S*))?$/u.exec(request.trim())?.groups ?? {};
  if (path === undefined || path === "")
    throw new Misuse("name a request, for example 'GET Observation?patient=1'");
  return [method, path.split("/"), query];
}

const spoken = (interaction: Interaction): string =>
  `${interaction.kind}${"type" in interaction ? ` of ${interaction.type}` : ""}`;

/**
 * The patient and user that the scopes name. Only the origin's records link a user to patients: here the
 * command line does, or a placeholder for each.
 */
function explainedBy(
  { document, scopes, purpose, kind }: PolicyCaller,
  patient: string | undefined,
  user: string | undefined,
  patients: readonly string[],
): Explained {
  for (const id of [...patients, ...(patient === undefined ? [] : [patient])])
    if (!isId(id)) throw new Misuse(`${id} is not a FHIR id`);
  const reference = user === undefined ? undefined : parseReference(user, "https://gateway.invalid");
  if (reference !== undefined && reference.kind !== "local")
    throw new Misuse("--user takes a reference, for example Practitioner/1");
  const policy = compilePolicy(document, "");
  const usersPatients =
    reference?.type === "Patient"
      ? [reference.id]
      : patients.length > 0 || reference === undefined
        ? patients
        : [standIn];
  const relations = [...policy.users].join(", ") || "nothing, because the policy names no relation";
  const users =
    reference === undefined
      ? "no user signed in: --user"
      : reference.type === "Patient"
        ? "themself"
        : `the patients that the origin's records link to this user as ${relations}`;
  const accessible =
    reference !== undefined && (reference.type === "Patient" || policy.users.size > 0)
      ? new Set(usersPatients)
      : undefined;
  return {
    document,
    policy,
    access: {
      scopes,
      patient,
      usersPatients: accessible,
      shows: showsInEachRule(policy),
      purpose,
      clientKind: kind,
      at: instant(Date.now()),
    },
    users,
  };
}

interface GivenConsent {
  readonly patient: string;
  readonly consent: FiledConsent;
}

/**
 * The Consents of these files in force, as if a registrar had filed them now.
 *
 * @param actors files of the resources behind their actors.
 */
function consentsIn(
  files: readonly string[],
  actors: readonly string[],
  at: ReturnType<typeof instant>,
): readonly GivenConsent[] {
  const rows = new Map(
    actors.map((file) => {
      const row = readSample(file);
      return [`${textAt(row, "resourceType")}/${textAt(row, "id")}`, readActor(row, sampleBase, at)];
    }),
  );
  return files.map((file) => {
    const resource = readSample(file);
    const [reference] = valuesAt(resource, ["patient", "reference"]);
    const of = parseReference(typeof reference === "string" ? reference : "", sampleBase);
    if (of.kind !== "local" || of.type !== "Patient")
      throw new Misuse(`${file}: Consent.patient is no reference to a Patient`);
    const written = readConsent(resource, sampleBase);
    const rules = rows.size === 0 ? written : withActorNames(written, of.id, rows);
    const digest = createHash("sha256").update(storedFormOf(rules)).digest("hex");
    return { patient: of.id, consent: { consent: file, digest, rules, filedAt: at, mayPermit: true } };
  });
}

/** The access with these Consents. A patient without a file has no Consent. */
function withConsents(
  about: Explained,
  filed: readonly GivenConsent[],
  {
    client,
    patient,
    user,
    organization = [],
  }: {
    readonly client: string | undefined;
    readonly patient: string | undefined;
    readonly user: string | undefined;
    readonly organization: readonly string[] | undefined;
  },
): Explained {
  if (filed.length === 0) return about;
  const { purpose, at = instant(Date.now()) } = about.access;
  if (purpose === undefined) throw new Misuse("a Consent is about a purpose: name it with --purpose");
  const named = parseReference(user ?? "", sampleBase);
  const book = new ConsentBook({
    request: {
      recipient: {
        references: new Set(named.kind === "local" ? [`${named.type}/${named.id}`] : []),
        identifiers: new Set([
          ...(client === undefined ? [] : [`urn:phylax:client|${client}`]),
          ...organization,
        ]),
        areNamesRead: true,
      },
      holder: { references: new Set(), identifiers: new Set() },
      purpose,
      api: about.policy.consentApi,
      at,
    },
    individual: individualOf({ purpose, patient, user }, sampleBase),
    publicBase: sampleBase,
  });
  const byPatient = Map.groupBy(filed, (each) => each.patient);
  const found = new Map([...byPatient].map(([id, all]) => [id, all.map(({ consent }) => consent)]));
  book.learn(found.keys(), found);
  return { ...about, access: { ...about.access, consents: book } };
}

function timeOf(text: string | undefined) {
  const at = text === undefined ? Date.now() : Date.parse(text);
  if (Number.isNaN(at)) throw new Misuse("--at takes a time, for example 2026-01-05T00:00:00Z");
  return instant(at);
}

const standIn = "each-patient-of-the-user";

function readSample(file: string): JsonObject {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    throw new Misuse(`${file}: cannot be read`);
  }
  const read = readJson(bytes);
  if (!read.ok) throw new Misuse(`${file}: ${read.error.reason}`);
  if (!isObject(read.value) || textAt(read.value, "resourceType") === undefined)
    throw new Misuse(`${file}: is not a FHIR resource`);
  return read.value;
}

function print({ refused, steps, asks, sample }: Report): void {
  say(refused === undefined ? "permitted" : `refused: ${refused}`);
  for (const { ok, of, says, details = [] } of steps) {
    say(`  ${ok ? "ok" : "NO"}  ${of}: ${says}`);
    for (const detail of details) say(`        ${detail}`);
  }
  if (asks.length > 0) say("queries to the origin:");
  for (const ask of asks) say(`  ${ask}`);
  if (sample === undefined) return;
  if (sample.kept.length > 0)
    say(sample.writes ? "the sample may not be written" : "the sample is not disclosed");
  for (const why of sample.kept) say(`  ${why}`);
  if (sample.after === undefined) return;
  const verdict = sample.writes ? "the part of the sample that may be written" : "the sample is disclosed";
  say(`${verdict}, by ${sample.rules.join(", ")}`);
  for (const { kind, path, why } of sample.changes) say(`  ${kind} ${path}: ${why}`);
  say(JSON.stringify(sample.after, null, 2));
}
