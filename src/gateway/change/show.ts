import type { RecordedOnly } from "#entrypoint/client-refusals";
import type { FhirQuestion } from "#fhir/ports";
import { statedVersion } from "#fhir/history-entry";
import { isObject, readJson } from "#fhir/json/json";
import { isSameJson } from "#fhir/json/same";
import { asksForOutcome, type Returned } from "#fhir/preconditions";
import type { FhirBase } from "#fhir/r4/reference";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { markSubsetted } from "#phi/contained";
import { Discloser } from "#phi/disclose";
import { Tally, type Disclosure } from "#phi/disclosure";
import { isRowDecided, type SentPlan } from "#gateway/change/plan/planned-write";
import { authorizeReading, type Permission } from "#gateway/admission/authorize";
import type { WholeAnswer } from "#gateway/origin/calls";
import type { OriginSession } from "#gateway/origin/origin-session";
import { keepsForm, learnForm } from "./kept-form.ts";
import type { DoneWrite } from "./send.ts";

/** Reads a stored resource at the origin. */
type ReadStored = (question: FhirQuestion) => Promise<Result<WholeAnswer, { readonly reason: string }>>;

/**
 * The part of a stored resource in the answer to a write: the part that its writer may read, redacted as for
 * a read, or nothing. Its tag is the tag of a read: the origin is asked for the row unless it is known to read rows in
 * the form in which it answers writes. A refusal says that the resource could not be read or judged now.
 */
export async function represent(
  { status, type, id, body, base }: DoneWrite,
  wanted: Returned | undefined,
  permission: Permission,
  origin: OriginSession,
  read: ReadStored = (question) => origin.read(question),
): Promise<Result<Disclosure | undefined, { readonly reason: RecordedOnly }>> {
  if (id === undefined || status === 204 || wanted === "minimal" || asksForOutcome(wanted))
    return ok(undefined);
  const grant = authorizeReading(permission, { kind: "read", type, id });
  if (!grant.ok) return ok(undefined);
  const { expects } = grant.value;
  if (expects.kind !== "read" || expects.needsReferrer || expects.referrers.length > 0) return ok(undefined);
  type Shown = Result<Disclosure, { readonly reason: string }>;
  const disclose = async (bytes: Uint8Array, from: FhirBase): Promise<Shown> => {
    const discloser = new Discloser(grant.value, origin.basesAt(from));
    const known = await origin.know(() => discloser.needsToRead(bytes, type));
    return known.ok ? discloser.read(bytes, type, id) : known;
  };
  const show = async (): Promise<Shown> => {
    const said = body && (await disclose(body, base));
    if (said?.ok === true && keepsForm(await origin.traits()) === true) return said;
    const asked = async () => {
      const answer = await read(grant.value.ask);
      const now = answer.ok ? await disclose(answer.value.body, answer.value.base) : answer;
      return { answer, now };
    };
    if (said?.ok !== true) return (await asked()).now;
    const found = await asked().catch(() => undefined);
    const [answer, now] = [found?.answer, found?.now];
    // a fault, or a later write: its tag would let the client overwrite what it has not seen
    if (answer?.ok !== true || now?.ok !== true || !isSameVersion(body, answer.value.body)) return said;
    const [written, stored] = [formOf(body), formOf(answer.value.body)];
    // An update sends the row as it was read. No order but the author's begins with the longest name.
    if (written !== stored) learnForm(await origin.traits(), false);
    else if (status === 201 && stored?.startsWith('{"resourceType"') === true)
      learnForm(await origin.traits(), true);
    return now;
  };
  const shown = await show().catch(() => unavailable);
  // The writer may not read the row, or a further writer has deleted it.
  return !shown.ok && isRowDecided(shown.error) ? ok(undefined) : shown.ok ? shown : unavailable;
}

/** Answers whether the origin answered a write with the version that it reads now. */
function isSameVersion(written: Uint8Array | undefined, read: Uint8Array): boolean {
  const [one, other] = [written && readJson(written), readJson(read)];
  if (one?.ok !== true || !other.ok || !isObject(one.value) || !isObject(other.value)) return false;
  const version = statedVersion(other.value);
  return version === undefined ? isSameJson(one.value, other.value) : version === statedVersion(one.value);
}

/** A resource without the white space between its members. */
function formOf(bytes: Uint8Array | undefined): string | undefined {
  const json = bytes && readJson(bytes);
  return json?.ok === true ? JSON.stringify(json.value) : undefined;
}

const unavailable = err({ reason: "answer_unavailable" } as const);

/**
 * A new Binary as its writer sent it, without its content. `undefined`: the writer may not read any.
 *
 * @param wantsUrl see {@link AskedWrite.wantsUrl}.
 */
export function shownContent(
  { type, id }: DoneWrite,
  { content, concerned }: SentPlan,
  wantsUrl: boolean | undefined,
  permission: Permission,
  origin: OriginSession,
): Disclosure | undefined {
  const read = id === undefined ? undefined : authorizeReading(permission, { kind: "read", type, id });
  if (id === undefined || content === undefined || read?.ok !== true) return undefined;
  const { data: _content, ...rest } = content;
  const shown = markSubsetted({ ...rest, id, ...(wantsUrl === true && { url: `${type}/${id}` }) });
  const tally = new Tally(origin);
  tally.add({ ...concerned, type, id, text: utf8(JSON.stringify(shown)), withheld: 0, records: 1 });
  return tally.disclosure([], { lastUpdated: undefined });
}

/** The address of a written resource. Undefined: the resource is deleted, or the origin did not say its id. */
export const locationIn = (
  base: string,
  { status, type, id, version }: Pick<DoneWrite, "status" | "type" | "id" | "version">,
): string | undefined =>
  status === 204 || id === undefined
    ? undefined
    : `${base}/${type}/${id}${version === undefined ? "" : `/_history/${version}`}`;
