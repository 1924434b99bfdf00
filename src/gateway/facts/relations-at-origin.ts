import { property, textAt, isObject, valuesAt, type JsonObject } from "#fhir/json/json";
import { holdsAt } from "#fhir/period";
import type { FhirQuestion } from "#fhir/ports";
import { parseReference, type Reference, type FhirBase } from "#fhir/r4/reference";
import type { Principal } from "#identity/principal";
import { ageAt, instant, type Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import { residenceFacts } from "#residence/row-residences";
import { RelatedPatients } from "#fhir/r4/related-patients";
import type { UserRelation } from "#policy/schema";
import { eachPage, pagesUsual } from "#gateway/origin/pages";
import { nobodysId } from "#gateway/origin/rows-by-id";
import type { RelateRefusal, RowReader, RowsRefusal } from "#gateway/origin/asking";

// A list of patients goes into the question to the origin.
const patientsMax = 1_000;
const [rolesMax, panelMax] = [50, 5_000];
// A row is a tree only while it is visited. A longer row counts as unrelated: it must not end the user's access to
// the remaining patients.
const rowBytesMax = 1_048_576;
// More ids are several questions; a body that names more patients names strangers.
const [idsMax, namedMax] = [100, 500];

/** How long an isolate remembers a relation. The end of a relation at the origin counts within this time. */
const rememberedMillis = 10_000;
// Users, and ids of their patients, some 12 MB.
const [usersRememberedMax, idsRememberedMax] = [1_000, 100_000];

/** The elements that decide a relation; the address is for the record. */
const elements = {
  Patient: "id,generalPractitioner,managingOrganization,address",
  RelatedPerson: "id,active,period,patient",
  PractitionerRole: "id,active,period,practitioner,organization",
  Group: "id,active,actual,type,managingEntity,member",
} as const;

type Local = Extract<Reference, { kind: "local" }>;

/** How the records of the origin say who a user is. */
interface Standing {
  /** The practitioner and the active roles, as `Type/id`: they may be a patient's general practitioner. */
  readonly practitioners: ReadonlySet<string>;
  /** The organizations of these roles: they may manage a patient, or be the general practitioner. */
  readonly organizations: ReadonlySet<string>;
  /** Ids of patients who are known to be the user's. */
  readonly patients: ReadonlySet<string>;
}

interface Remembered<T> {
  readonly value: T;
  readonly asOf: Instant;
}

/** What is remembered of a user. */
class KnownOfUser {
  usedAt = instant(0);
  /** The ids that it had when it was last weighed. */
  ids = 0;
  standing: Remembered<Standing> | undefined;
  list: Remembered<ReadonlySet<string> | "too many"> | undefined;
  /** By the id of a patient whom a question named; what a row named is not remembered. */
  readonly named = new Map<string, Remembered<boolean>>();
}

/** The relations that an isolate remembers. Settled data: no request waits for a further request. */
export class RememberedRelations {
  /** By origin, user and the relations of the policy. */
  readonly #users = new Newest<KnownOfUser>(usersRememberedMax, idsRememberedMax, ({ ids }) => ids);

  of(key: string, at: Instant): KnownOfUser {
    const known = this.#users.get(key) ?? new KnownOfUser();
    this.#users.delete(key);
    known.usedAt = at;
    const lists = [known.standing?.value.patients, known.list?.value, known.named];
    known.ids = lists.reduce((sum, list) => sum + (typeof list === "object" ? list.size : 0), 0);
    this.#users.set(key, known);
    // The users stand in the order of their use. A list of thousands of patients stays no longer than it counts.
    for (const [user, { usedAt }] of this.#users) {
      if (ageAt(usedAt, at) < rememberedMillis) break;
      this.#users.delete(user);
    }
    return known;
  }
}

/**
 * Finds out which patients a `user/` scope means: by the relation of the signed-in user to each patient, as the
 * origin's records say it and the policy lists it. It asks about the patients of a question or of a row; a list of all
 * patients is for searches that name none. A user unknown to the origin has no patients.
 */
export class RelationsAtOrigin {
  readonly patients = new RelatedPatients();
  readonly #user: Local;
  readonly #relations: ReadonlySet<UserRelation>;
  readonly #known: KnownOfUser;
  readonly #at: Instant;
  readonly #weigh: () => unknown;
  /** The token names a patient beside the user, so that no single criterion finds the rows of both. */
  readonly #hasPatient: boolean;

  private constructor(
    user: Local,
    relations: ReadonlySet<UserRelation>,
    known: KnownOfUser,
    at: Instant,
    hasPatient: boolean,
    weigh: () => unknown,
  ) {
    this.#weigh = weigh;
    this.#user = user;
    this.#relations = relations;
    this.#known = known;
    this.#at = at;
    this.#hasPatient = hasPatient;
  }

  /** Undefined: no scope means the patients of a user, or the user is none of this origin. */
  static of(
    { scopes, user, patient }: Pick<Principal, "scopes" | "user" | "patient">,
    relations: ReadonlySet<UserRelation>,
    origin: { readonly name: string; readonly base: FhirBase },
    at: Instant,
    remembered: RememberedRelations,
  ): RelationsAtOrigin | undefined {
    if (user === undefined || !scopes.some(({ context }) => context === "user")) return undefined;
    const local = parseReference(user, origin.base);
    if (local.kind !== "local") return undefined;
    const weigh = () =>
      remembered.of(`${origin.name} ${written(local)} ${[...relations].toSorted().join()}`, at);
    return new RelationsAtOrigin(local, relations, weigh(), at, patient !== undefined, weigh);
  }

  /**
   * Asks about the named patients of a question.
   *
   * @param unnamed the types that it searches without a patient's name.
   */
  async relate(
    named: Iterable<string>,
    unnamed: ReadonlySet<string>,
    origin: RowReader,
  ): Promise<Result<undefined, RelateRefusal>> {
    const standing = await this.#standing(origin);
    if (!standing.ok || this.patients.isWhole) return standing.ok ? ok(undefined) : standing;
    const { named: known } = this.#known;
    for (const patient of named) {
      const before = known.get(patient);
      if (before === undefined || !this.#isFresh(before)) continue;
      this.patients.learn([patient], before.value ? new Set([patient]) : nobody);
      this.patients.name([patient]);
    }
    // A patient of an earlier row is asked about again: the saved question would tell whom a hidden row names.
    const asked = [...new Set(named)].filter((patient) => !this.patients.isNamed(patient)).slice(0, namedMax);
    const learned = await this.#learn(asked, standing.value, origin);
    if (!learned.ok) return learned;
    this.patients.name(asked);
    if (known.size + asked.length > patientsMax) known.clear();
    for (const patient of asked) known.set(patient, { value: this.patients.has(patient), asOf: this.#at });
    this.#weigh();
    return unnamed.size === 0 ? ok(undefined) : this.#narrow(unnamed, standing.value, origin);
  }

  /**
   * Asks about the named patients of rows, by a question at least: where there is no row, or where all of them are
   * known, by a question about an id that no server gives. No answer is remembered for a further request, and none that
   * is remembered counts: a client could otherwise learn a hidden row's patient from the time of its next question.
   */
  async learn(patients: Iterable<string>, origin: RowReader): Promise<Result<undefined, RowsRefusal>> {
    const standing = await this.#standing(origin);
    if (!standing.ok) return standing;
    if (this.patients.isWhole) return ok(undefined);
    const asked = [...patients].filter((patient) => !this.patients.knows(patient));
    return this.#learn(asked.length === 0 ? [nobodysId] : asked, standing.value, origin);
  }

  #isFresh = ({ asOf }: { readonly asOf: Instant }): boolean => ageAt(asOf, this.#at) < rememberedMillis;

  /** Finds the rows of all patients: by a criterion that the origin takes, or by their list. */
  async #narrow(
    unnamed: ReadonlySet<string>,
    standing: Standing,
    origin: RowReader,
  ): Promise<Result<undefined, RelateRefusal>> {
    // Several relations are no single criterion.
    const isByPractitioners =
      this.#relations.has("practitioner") &&
      standing.organizations.size === 0 &&
      standing.patients.size === 0 &&
      !this.#hasPatient;
    const areChained = (await origin.traits())?.capabilities.chains === true;
    if (!isByPractitioners || !areChained) {
      const list = await this.#list(standing, origin);
      if (!list.ok) return list;
      if (list.value !== "too many") {
        this.patients.learnWhole(list.value);
        return ok(undefined);
      }
      if (!isByPractitioners || [...unnamed].some((type) => type !== "Patient"))
        return err({ reason: "patient_not_named" });
    }
    this.patients.narrowBy(standing.practitioners, areChained);
    return ok(undefined);
  }

  async #list(
    standing: Standing,
    origin: RowReader,
  ): Promise<Result<ReadonlySet<string> | "too many", RowsRefusal>> {
    const before = this.#known.list;
    if (before !== undefined && this.#isFresh(before)) return ok(before.value);
    const patients = new Set(standing.patients);
    let value: ReadonlySet<string> | "too many" = patients;
    for (const by of criteriaOf(this.#relations, standing)) {
      const read = await this.#readPatients(by, standing, origin, patientsMax, patients);
      if (!read.ok && read.error.reason !== "too_many_rows") return read;
      if (!read.ok || patients.size > patientsMax) {
        value = "too many";
        break;
      }
    }
    this.#known.list = { value, asOf: this.#at };
    this.#weigh();
    return ok(value);
  }

  async #learn(
    asked: readonly string[],
    standing: Standing,
    origin: RowReader,
  ): Promise<Result<undefined, RowsRefusal>> {
    for (let from = 0; from < asked.length; from += idsMax) {
      const some = asked.slice(from, from + idsMax);
      const related = await this.#ofPatients(some, standing, origin);
      if (!related.ok) return related;
      this.patients.learn(some, related.value);
    }
    return ok(undefined);
  }

  /** The user's patients among these, by a single question. */
  async #ofPatients(
    ids: readonly string[],
    standing: Standing,
    origin: RowReader,
  ): Promise<Result<ReadonlySet<string>, RowsRefusal>> {
    const related = new Set(ids.filter((id) => standing.patients.has(id)));
    const criteria = criteriaOf(this.#relations, standing);
    const by = { _id: ids, ...(criteria.length === 1 && criteria[0]) };
    const found = new Set<string>();
    const read = await this.#readPatients(by, standing, origin, patientsMax, found);
    if (!read.ok) return read;
    for (const id of ids) if (found.has(id)) related.add(id);
    return ok(related);
  }

  /** Adds the user's patients of an answer to `patients`: the origin may have ignored the criteria. */
  #readPatients(
    by: Criteria,
    { practitioners, organizations }: Standing,
    origin: RowReader,
    rowsMax: number,
    patients: Set<string>,
  ): Promise<Result<undefined, RowsRefusal>> {
    const general = new Set([
      ...(this.#relations.has("practitioner") ? practitioners : []),
      ...(this.#relations.has("organization") ? organizations : []),
    ]);
    const managing = this.#relations.has("organization") ? organizations : nobody;
    return visit(origin, "Patient", by, rowsMax, (row, base) => {
      origin.names.residences.note(residenceFacts(row));
      const names = (path: string, among: ReadonlySet<string>) =>
        namedAt(row, [path], base).some((named) => among.has(written(named)));
      if (names("generalPractitioner", general) || names("managingOrganization", managing))
        for (const id of idOf(row)) patients.add(id);
    });
  }

  async #standing(origin: RowReader): Promise<Result<Standing, RowsRefusal>> {
    const before = this.#known.standing;
    const found =
      before !== undefined && this.#isFresh(before) ? ok(before.value) : await this.#readStanding(origin);
    if (!found.ok) return found;
    if (found.value !== before?.value) {
      this.#known.standing = { value: found.value, asOf: this.#at };
      this.#weigh();
    }
    if (criteriaOf(this.#relations, found.value).length === 0) this.patients.learnWhole(found.value.patients);
    return found;
  }

  async #readStanding(origin: RowReader): Promise<Result<Standing, RowsRefusal>> {
    const user = this.#user;
    if (user.type === "Patient") return ok({ ...nothing, patients: new Set([user.id]) });
    if (user.type === "RelatedPerson" && this.#relations.has("related-person"))
      return ofRelatedPerson(user, origin, this.#at);
    const isPractitioner = user.type === "Practitioner" || user.type === "PractitionerRole";
    if (!isPractitioner || !ofPractitioners.some((relation) => this.#relations.has(relation)))
      return ok(nothing); // no further type has a relation to a patient
    const roles = await rolesOf(user, origin, this.#at);
    if (!roles.ok) return roles;
    // A user who signed in as a role has that role as long as the role is active.
    const practitioners = new Set([
      ...(user.type === "Practitioner" ? [written(user)] : []),
      ...roles.value.map(({ role }) => role),
    ]);
    const patients = new Set<string>();
    if (this.#relations.has("panel") && practitioners.size > 0) {
      const by = { "managing-entity": [...practitioners] };
      const read = await visit(origin, "Group", by, rolesMax, (row, base) => {
        if (isPanel(row, practitioners, base))
          for (const id of membersOf(row, base, this.#at)) patients.add(id);
      });
      if (!read.ok) return read;
      if (patients.size > panelMax) return err({ reason: "too_many_rows" });
    }
    const organizations = this.#relations.has("organization")
      ? new Set(roles.value.flatMap(({ organizations: of }) => of))
      : nobody;
    return ok({ practitioners, organizations, patients });
  }
}

const nobody: ReadonlySet<string> = new Set();
const nothing: Standing = { practitioners: nobody, organizations: nobody, patients: nobody };
const ofPractitioners: readonly UserRelation[] = ["practitioner", "organization", "panel"];

/** The values of search parameters, by their names. */
type Criteria = Readonly<Record<string, readonly string[]>>;

/** The searches that together find the patients related to a user by the records of Patients. */
function criteriaOf(
  relations: ReadonlySet<UserRelation>,
  { practitioners, organizations }: Standing,
): readonly Criteria[] {
  const general = [...(relations.has("practitioner") ? practitioners : []), ...organizations];
  return [
    ...(general.length === 0 ? [] : [{ "general-practitioner": general }]),
    ...(organizations.size === 0 ? [] : [{ organization: [...organizations] }]),
  ];
}

async function ofRelatedPerson(
  { id }: Local,
  origin: RowReader,
  at: Instant,
): Promise<Result<Standing, RowsRefusal>> {
  const patients = new Set<string>();
  const by = { _id: [id], active: ["true"] };
  const read = await visit(origin, "RelatedPerson", by, rolesMax, (row, base) => {
    if (textAt(row, "id") !== id || !isActive(row, at)) return;
    for (const named of namedAt(row, ["patient"], base)) if (named.type === "Patient") patients.add(named.id);
  });
  return read.ok ? ok({ ...nothing, patients }) : read;
}

interface Role {
  readonly role: string;
  readonly organizations: readonly string[];
}

/** The active roles of a practitioner, or the role as which the user signed in. */
async function rolesOf(
  user: Local,
  origin: RowReader,
  at: Instant,
): Promise<Result<readonly Role[], RowsRefusal>> {
  const by = user.type === "PractitionerRole" ? { _id: [user.id] } : { practitioner: [written(user)] };
  const isOfUser = (row: JsonObject, base: FhirBase) =>
    user.type === "PractitionerRole"
      ? textAt(row, "id") === user.id
      : namedAt(row, ["practitioner"], base).some((named) => written(named) === written(user));
  const roles: Role[] = [];
  const read = await visit(origin, "PractitionerRole", { ...by, active: ["true"] }, rolesMax, (row, base) => {
    if (!isActive(row, at) || !isOfUser(row, base)) return;
    for (const id of idOf(row))
      roles.push({
        role: `PractitionerRole/${id}`,
        organizations: namedAt(row, ["organization"], base).map(written),
      });
  });
  return read.ok ? ok(roles) : read;
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
  origin: RowReader,
  type: keyof typeof elements,
  by: Criteria,
  rowsMax: number,
  take: (row: JsonObject, base: FhirBase) => void,
): Promise<Result<undefined, RowsRefusal>> {
  const criteria = Object.entries(by).map(
    ([name, values]) => `${name}=${values.map(encodeURIComponent).join(",")}`,
  );
  const takesElements = (await origin.traits())?.capabilities.elements === true;
  const form = takesElements ? [`_elements=${elements[type]}`, "_count=1000"] : ["_count=1000"];
  const question: FhirQuestion = { path: type, query: [...criteria, ...form].join("&"), posted: true };
  let rows = 0;
  const keeps = (row: JsonObject, base: FhirBase): boolean => {
    rows += 1;
    if (isOf(row, type)) take(row, base);
    return false; // no row is held
  };
  const refusal = await eachPage(
    question,
    origin,
    { keeps },
    pagesUsual,
    () => (rows > rowsMax ? "too many" : "next"),
    rowBytesMax,
  );
  return refusal === undefined ? ok(undefined) : err(refusal);
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
