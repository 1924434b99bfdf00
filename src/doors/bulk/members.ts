import { readInteraction } from "#fhir/interaction";
import { joinBytes } from "#fhir/json/bytes";
import { isArray, isObject, objectAt, property, readObject, textAt, type JsonObject } from "#fhir/json/json";
import { localId } from "#fhir/r4/reference";
import type { GatewayRefusal } from "#gateway/outcome";
import { err, ok, type Result } from "#kernel/result";
import type { Instant } from "#kernel/clock";
import type { ExportAsking } from "./asking.ts";
import type { StoredFile, StoredPatients } from "./export-jobs.ts";
import { ownerParameter } from "./exported-types.ts";

// A person's question may name as many (gateway/origin/named-patients).
const patientsOfSearch = 20;

/**
 * The patients of an export now: of a Group its members, as the client's own read shows them, and of these the patients
 * that the request names. Undefined: no list limits the patients. A Group that the client may not read is refused.
 *
 * @param base the FHIR base that the client calls.
 */
export async function patientsNow(
  patients: StoredPatients,
  asking: ExportAsking,
  base: string,
  at: Instant,
): Promise<Result<readonly string[] | undefined, GatewayRefusal>> {
  const { group, named } = patients;
  if (group === undefined) return ok(named);
  const read = readInteraction("GET", ["Group", group], "", base);
  if (!read.ok) return read;
  const answer = await asking.ask(read.value);
  if (!answer.ok) return answer;
  const parts: Uint8Array[] = [];
  for await (const part of answer.value.parts) parts.push(part);
  const resource = readObject(joinBytes(parts));
  if (resource === undefined) throw new Error("an own Group cannot be read");
  const members = membersOf(resource, base, at);
  if (named === undefined) return ok([...members]);
  return named.every((id) => members.has(id))
    ? ok(named)
    : err({ reason: "export_patient_not_here", parameter: "patient" });
}

/** The patients who are members: neither inactive nor past the end of their period (FHIR R4 Group.member). */
function membersOf(group: JsonObject, base: string, at: Instant): ReadonlySet<string> {
  const list = property(group, "member");
  const now = new Date(at).toISOString();
  const isMember = (member: JsonObject) => {
    const period = objectAt(member, "period");
    const end = (period && textAt(period, "end")) ?? "";
    // A date, a month and a year last to their own end.
    const isOver = end.length > 10 ? Date.parse(end) < at : end !== "" && end < now.slice(0, end.length);
    return property(member, "inactive") !== true && !isOver;
  };
  const ids = (isArray(list) ? list : [])
    .filter(isObject)
    .filter(isMember)
    .map((member) => {
      const entity = objectAt(member, "entity");
      return localId((entity && textAt(entity, "reference")) ?? "", "Patient", base);
    });
  return new Set(ids.filter((id) => id !== undefined));
}

/** The searches of a file, each as a query: a filter each, for some of the patients each. */
export function* searchesOf(
  { type, queries }: StoredFile,
  patients: readonly string[] | undefined,
): Generator<string, undefined> {
  const code = ownerParameter(type);
  const nameOf = (id: string) => (type === "Patient" ? id : `Patient/${id}`);
  const owners = code === undefined && patients !== undefined ? [] : patients;
  for (const query of queries)
    if (owners === undefined) yield query;
    else
      for (let at = 0; at < owners.length; at += patientsOfSearch) {
        const names = owners.slice(at, at + patientsOfSearch).map(nameOf);
        yield `${query}&${code}=${names.join(",")}`;
      }
}
