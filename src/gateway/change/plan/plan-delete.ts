import { property, readObject, resourceBytesMax, type JsonObject } from "#fhir/json/json";
import { joinBytes } from "#fhir/json/bytes";
import type { OriginBody } from "#fhir/ports";
import type { WriteConditions } from "#fhir/preconditions";
import { inlineLabel } from "#fhir/json/facts";
import { RowFactsReader, type RowFacts } from "#fhir/json/row-facts";
import { err, ok, type Result } from "#kernel/result";
import { unjudgedRow, unread, type DisclosureRefusal } from "#phi/disclose";
import type { Bases } from "#phi/origin-urls";
import { factsFor } from "#policy/facts";
import type { PlainWrite, WriteGrant } from "#policy/evaluate-write";
import { concernedByChange, concernedByUnread, firstConcerned } from "#gateway/origin/concerned-by-write";
import { authorizeChange, type Permission } from "#gateway/admission/authorize";
import type { OriginSession } from "#gateway/origin/origin-session";
import { broken, type OriginRefusal } from "#gateway/origin/forward";
import { unreadable, type PlannedWrite, type PlanRefusal } from "./planned-write.ts";
import {
  asRead,
  confirmsRow,
  cutForWriter,
  isCurrent,
  needsOfStored,
  reachedView,
  versionIn,
} from "./stored-row.ts";
import { residenceFacts } from "#residence/row-residences";

// The size of a page of an origin.
const bytesMax = 33_554_432;

type Deletion = Exclude<PlainWrite, { kind: "create" }> & { readonly kind: "delete" };

/**
 * Decides about a deletion by the row's type, id, owners, labels, modifiers and the members that the rules
 * test, and by nothing more: an unreadable row can be deleted. A row with an unknown modifier stays (P9).
 * Further patients of the row go on record if they can be read.
 */
export async function planDelete(
  write: Deletion,
  { ifMatch }: WriteConditions,
  { policy, access }: Permission,
  origin: OriginSession,
): Promise<Result<PlannedWrite, PlanRefusal>> {
  const { type, id } = write;
  const grant = authorizeChange({ policy, access }, write);
  if (!grant.ok) return grant;
  const answer = await origin.ask({ path: `${type}/${id}`, query: "" });
  if (!answer.ok) return answer;
  const bases = origin.basesAt(answer.value.base);
  const read = await readFacts(answer.value.body, grant.value.decidingMembers);
  if (!read.ok) return read;
  const { row, whole } = read.value;
  const needs = () => needsOfStored(whole ?? row, write, grant.value, bases, whole !== undefined);
  const known = await origin.know(() => origin.barrier.judge(write, needs, undefined));
  if (!known.ok) return known;
  const judge = () => decideDelete(write, read.value, ifMatch, grant.value, origin, bases);
  return origin.barrier.judge(write, judge, err(unjudgedRow));
}

/** Decides about the deletion of a row. */
function decideDelete(
  write: Deletion,
  { row, holdsText, whole }: Facts,
  ifMatch: WriteConditions["ifMatch"],
  grant: WriteGrant,
  origin: OriginSession,
  bases: Bases,
): Result<PlannedWrite, PlanRefusal> {
  const { type, id } = write;
  if (holdsText) return err({ reason: "row_outside_access", decision: { by: "policy", place: "/rules" } });
  // A Consent of a patient whom only a contained resource names may deny, and the row is too large to be judged.
  if (whole === undefined && property(row, "contained") !== undefined)
    return err({ reason: "row_outside_access", decision: { by: "policy", place: "/consent" } });
  const reached = reachedView(whole ?? row, write, grant, bases, whole !== undefined);
  if (!reached.ok) return reached;

  const cut = cutForWriter(whole ?? row, grant, bases);
  if (!cut.ok && (cut.error === "modifier_extension" || cut.error === "implicit_rules"))
    return err({ reason: "resource_withheld", because: cut.error });
  const isKnown = grant.mayRead(factsFor(grant, row), bases.origin);
  if (confirmsRow(ifMatch, isKnown)) return err(unreadable);
  const shown = whole !== undefined && cut.ok ? cut.value : undefined;
  if (whole !== undefined) origin.names.residences.note(residenceFacts(whole));
  const concerned =
    whole === undefined || shown === undefined
      ? concernedByUnread(whole ?? row, bases)
      : concernedByChange({ stored: whole, named: shown }, bases);
  // Every answer from here on tells that the row exists.
  if (!origin.names.concerned.decide({ type, id, ...(shown ?? firstConcerned(concerned)) }))
    return err({ reason: "answer_too_large" });
  const seen = asRead(whole ?? row, shown?.resource, grant, bases);
  if (!isCurrent(ifMatch, isKnown ? seen : undefined, grant.policyDigest))
    return err({ reason: "version_not_current" });
  const version = versionIn(row);
  if (version === undefined) return err({ reason: "version_missing" });
  return ok({
    kind: "send",
    write: { method: "DELETE", path: `${type}/${id}`, version },
    type,
    id,
    concerned,
  });
}

type Facts = RowFacts & {
  /** The whole row, if it can be read. */
  readonly whole: JsonObject | undefined;
};

async function readFacts(
  body: OriginBody,
  members: WriteGrant["decidingMembers"],
): Promise<Result<Facts, OriginRefusal | DisclosureRefusal>> {
  const reader = new RowFactsReader(new Set([...members, "contained"]), inlineLabel);
  let chunks: Uint8Array[] | undefined = [];
  let length = 0;
  for await (const chunk of body) {
    if (!chunk.ok) return err(broken(chunk.error));
    length += chunk.value.length;
    // leaving the loop hangs up
    if (length > bytesMax) return err({ reason: "resource_withheld", because: "too_large" });
    reader.push(chunk.value);
    if (length > resourceBytesMax) chunks = undefined;
    else chunks?.push(chunk.value);
  }
  const facts = reader.end();
  if (!facts.ok) return err(unread(facts.error));
  return ok({ ...facts.value, whole: chunks && readObject(joinBytes(chunks)) });
}
