import { property, textAt, isObject, valuesAt, type JsonObject } from "#fhir/json/json";
import { holdsAt } from "#fhir/period";
import type { FhirQuestion } from "#fhir/ports";
import { parseReference, type Reference, type FhirBase } from "#fhir/r4/reference";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Access } from "#policy/row-access";
import type { UserRelation } from "#policy/schema";
import { pagesUsual, visitRows } from "./all-rows.ts";
import type { RowsRefusal } from "./asking.ts";
import type { OriginSession } from "./origin-session.ts";
import { residenceFacts } from "#residence/row-residences";

export type RelateRefusal = RowsRefusal;

// The list of patients goes into the question to the origin, and each row is checked against the list.
const patientsMax = 5_000;
const rolesMax = 50;
// A row is a tree only while it is visited. A longer row counts as unrelated: it must not end the user's access to
// all other patients.
const rowBytesMax = 1_048_576;

/** The elements that decide a relation; the address is for the record. */
const elements = {
  Patient: "id,generalPractitioner,managingOrganization,address",
  RelatedPerson: "id,active,period,patient",
  PractitionerRole: "id,active,period,practitioner,organization",
  Group: "id,active,actual,type,managingEntity,member",
} as const;

/**
 * Finds the patients whose records a `user/` scope means: by the relation of the signed-in user to each
 * patient, as the origin's records say it and the policy lists it. The origin gets the same questions
 * whatever it finds. A user unknown to the origin has no patients.
 */
export async function relate(
  who: Pick<Principal, "scopes" | "patient" | "user" | "purpose">,
  relations: ReadonlySet<UserRelation>,
  origin: OriginSession,
  at: Instant,
): Promise<Result<Access, RelateRefusal>> {
  const access = { scopes: who.scopes, patient: who.patient, purpose: who.purpose };
  if (who.user === undefined || !who.scopes.some(({ context }) => context === "user")) return ok(access);
  const user = parseReference(who.user, origin.base);
  if (user.kind !== "local") return ok(access);
  const patients = await patientsOf(user, relations, origin, at);
  return patients.ok ? ok({ ...access, usersPatients: patients.value }) : patients;
}

type Local = Extract<Reference, { kind: "local" }>;
type Patients = Result<ReadonlySet<string>, RelateRefusal>;

async function patientsOf(
  user: Local,
  relations: ReadonlySet<UserRelation>,
  origin: OriginSession,
  at: Instant,
): Promise<Patients> {
  if (user.type === "Patient") return ok(new Set([user.id]));
  if (user.type === "RelatedPerson" && relations.has("related-person"))
    return ofRelatedPerson(user, origin, at);
  if (user.type === "Practitioner" || user.type === "PractitionerRole")
    return ofPractitioner(user, relations, origin, at);
  return ok(new Set()); // no further type has a relation to a patient
}

async function ofRelatedPerson({ id }: Local, origin: OriginSession, at: Instant): Promise<Patients> {
  const patients = new Set<string>();
  const visited = await visit(
    origin,
    "RelatedPerson",
    { _id: [id], active: ["true"] },
    rolesMax,
    (row, base) => {
      if (textAt(row, "id") !== id || !isActive(row, at)) return;
      for (const named of namedAt(row, ["patient"], base))
        if (named.type === "Patient") patients.add(named.id);
    },
  );
  return visited.ok ? ok(patients) : visited;
}

async function ofPractitioner(
  user: Local,
  relations: ReadonlySet<UserRelation>,
  origin: OriginSession,
  at: Instant,
): Promise<Patients> {
  const roles = await rolesOf(user, origin, at);
  if (!roles.ok) return roles;
  // A user who signed in as a role has that role as long as the role is active.
  const selves = new Set([
    ...(user.type === "Practitioner" ? [written(user)] : []),
    ...roles.value.map(({ role }) => role),
  ]);
  const organizations = new Set(roles.value.flatMap(({ organizations }) => organizations));
  const patients = new Set<string>();
  const ofPatients = (parameter: string, path: string, among: ReadonlySet<string>) =>
    visit(origin, "Patient", { [parameter]: [...among] }, patientsMax, (row, base) => {
      origin.names.residences.note(residenceFacts(row));
      if (namedAt(row, [path], base).some((named) => among.has(written(named))))
        for (const id of idOf(row)) patients.add(id);
    });

  if (relations.has("practitioner")) {
    const added = await ofPatients("general-practitioner", "generalPractitioner", selves);
    if (!added.ok) return added;
  }
  if (relations.has("organization") && organizations.size > 0) {
    for (const [parameter, path] of [
      ["organization", "managingOrganization"],
      ["general-practitioner", "generalPractitioner"],
    ] as const) {
      const added = await ofPatients(parameter, path, organizations);
      if (!added.ok) return added;
    }
  }
  if (relations.has("panel")) {
    const added = await visit(origin, "Group", { "managing-entity": [...selves] }, rolesMax, (row, base) => {
      if (isPanel(row, selves, base)) for (const id of membersOf(row, base, at)) patients.add(id);
    });
    if (!added.ok) return added;
  }
  return patients.size > patientsMax ? err({ reason: "too_many_rows" }) : ok(patients);
}

interface Role {
  readonly role: string;
  readonly organizations: readonly string[];
}

/** The active roles of a practitioner, or the role as which the user signed in. */
async function rolesOf(
  user: Local,
  origin: OriginSession,
  at: Instant,
): Promise<Result<readonly Role[], RelateRefusal>> {
  const by = user.type === "PractitionerRole" ? { _id: [user.id] } : { practitioner: [written(user)] };
  const isOfUser = (row: JsonObject, base: FhirBase) =>
    user.type === "PractitionerRole"
      ? textAt(row, "id") === user.id
      : namedAt(row, ["practitioner"], base).some((named) => written(named) === written(user));
  const roles: Role[] = [];
  const visited = await visit(
    origin,
    "PractitionerRole",
    { ...by, active: ["true"] },
    rolesMax,
    (row, base) => {
      if (!isActive(row, at) || !isOfUser(row, base)) return;
      for (const id of idOf(row))
        roles.push({
          role: `PractitionerRole/${id}`,
          organizations: namedAt(row, ["organization"], base).map(written),
        });
    },
  );
  return visited.ok ? ok(roles) : visited;
}

const isPanel = (group: JsonObject, selves: ReadonlySet<string>, base: FhirBase): boolean =>
  isOn(group, "active") &&
  property(group, "actual") === true &&
  property(group, "type") === "person" &&
  namedAt(group, ["managingEntity"], base).some((named) => selves.has(written(named)));

function membersOf(group: JsonObject, base: FhirBase, at: Instant): readonly string[] {
  return valuesAt(group, ["member"])
    .filter(isObject)
    .filter(
      (member) =>
        (property(member, "inactive") ?? false) === false && holdsAt(property(member, "period"), at),
    )
    .flatMap((member) => namedAt(member, ["entity"], base))
    .flatMap((named) => (named.type === "Patient" ? [named.id] : []));
}

/** Shows each row of the type to `take`; the origin may have ignored the criteria. Rows beyond the limit are refused. */
async function visit(
  origin: OriginSession,
  type: keyof typeof elements,
  by: Readonly<Record<string, readonly string[]>>,
  rowsMax: number,
  take: (row: JsonObject, base: FhirBase) => void,
): Promise<Result<undefined, RelateRefusal>> {
  const criteria = Object.entries(by).map(
    ([name, values]) => `${name}=${values.map(encodeURIComponent).join(",")}`,
  );
  const takesElements = (await origin.traits())?.capabilities.elements === true;
  const form = takesElements ? [`_elements=${elements[type]}`, "_count=1000"] : ["_count=1000"];
  const question: FhirQuestion = { path: type, query: [...criteria, ...form].join("&"), posted: true };
  let rows = 0;
  const visited = await visitRows(
    question,
    origin,
    {
      keeps: (row, base) => {
        rows += 1;
        if (isOf(row, type)) take(row, base);
        return false; // no row is hidden, so the number of pages is the only bound
      },
    },
    pagesUsual,
    rowBytesMax,
  );
  return visited.ok && rows > rowsMax ? err({ reason: "too_many_rows" }) : visited;
}

function namedAt(row: JsonObject, path: readonly string[], base: FhirBase): readonly Local[] {
  return valuesAt(row, path)
    .filter(isObject)
    .map((value) => parseReference(textAt(value, "reference") ?? "", base))
    .filter((reference) => reference.kind === "local");
}

const written = ({ type, id }: Local) => `${type}/${id}`;
const isOf = (row: JsonObject, type: string) => property(row, "resourceType") === type;
const isOn = (row: JsonObject, name: string) => (property(row, name) ?? true) === true;
/** Servers retain relations that ended: only the period says so. */
const isActive = (row: JsonObject, at: Instant) =>
  isOn(row, "active") && holdsAt(property(row, "period"), at);
const idOf = (row: JsonObject): readonly string[] => {
  const id = textAt(row, "id");
  return id === undefined ? [] : [id];
};
