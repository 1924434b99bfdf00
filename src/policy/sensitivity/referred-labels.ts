import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { Facts } from "#fhir/json/facts";
import { nestedResources } from "#fhir/json/nested-resources";
import { isCompartmentType, namingElements } from "#fhir/r4/compartment-tables";
import { isOwnedBy } from "#fhir/r4/compartment";
import { ownersNamed } from "#fhir/r4/concerned-patients";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { rowLabels, type RowLabels } from "./row-labels.ts";

/** Types of which a resource says something about the health of the person of a row that refers to it. */
const clinicalTypes: ReadonlySet<string> = new Set(
  (
    "AllergyIntolerance CarePlan Claim ClinicalImpression Communication Composition Condition DiagnosticReport " +
    "DocumentReference Encounter EpisodeOfCare ExplanationOfBenefit FamilyMemberHistory Goal ImagingStudy " +
    "Immunization Medication MedicationAdministration MedicationDispense MedicationRequest MedicationStatement " +
    "NutritionOrder Observation Procedure QuestionnaireResponse RiskAssessment ServiceRequest"
  ).split(" "),
);

/** Resources of a row. The limit depends on the row alone: no hidden row uses it up for a visible row. */
export const referredMax = 500;

/** A reference that cannot be resolved may lead to any label. */
export const unresolved: RowLabels = rowLabels([null]);

/** The labels and the patients of a resource to which a row refers. */
export interface ReferredRow {
  readonly labels: RowLabels;
  /** Ids of the patients to whom the resource belongs; `undefined`: its type has no patient (a Medication). */
  readonly patients: readonly string[] | undefined;
}

const absent: ReferredRow = { labels: unresolved, patients: [] };

/**
 * Reads a resource to which a row refers.
 *
 * @param base the origin's FHIR base.
 */
export function referredRow(resource: JsonObject, labels: RowLabels, base: FhirBase): ReferredRow {
  const type = textAt(resource, "resourceType") ?? "";
  if (!isCompartmentType(type)) return { labels, patients: undefined };
  const { patients } = ownersNamed(resource, [base]);
  const owning = Facts.of(
    resource,
    ["resourceType", "id", ...namingElements(type)].map((name) => [name]),
  );
  // an owner who is not known may be any patient
  return isOwnedBy(owning, new Set(patients), base) ? { labels, patients } : absent;
}

/**
 * Answers whether a resource may bring its labels to a row of these patients. A resource of a different patient counts
 * as absent: a writer could otherwise learn from a row of their own that it exists, and its labels. A row that
 * names no patient is a part of a row that does, or is visible to a client of every patient only.
 */
export const isReferredFrom = (patients: ReadonlySet<string>, { patients: owners }: ReferredRow): boolean =>
  owners === undefined ||
  patients.size === 0 ||
  (owners.length > 0 && owners.every((owner) => patients.has(owner)));

export function joinLabels(a: RowLabels, b: RowLabels): RowLabels {
  return {
    level: Math.max(a.level, b.level),
    sensitivities: new Set([...a.sensitivities, ...b.sensitivities]),
    hasUnknown: a.hasUnknown || b.hasUnknown,
    unknown: new Set([...a.unknown, ...b.unknown]),
    hasHandling: a.hasHandling || b.hasHandling,
    isPart2: a.isPart2 || b.isPart2,
    isSelfPaid: a.isSelfPaid || b.isSelfPaid,
  };
}

/** `Type/id` of each local reference of a row to a clinical resource; `undefined` for a reference elsewhere. */
function clinicalReferences(row: JsonObject, base: FhirBase): ReadonlySet<string | undefined> {
  const found = new Set<string | undefined>();
  const visit = (value: Json): void => {
    if (isArray(value)) for (const item of value) visit(item);
    if (!isObject(value)) return;
    const text = textAt(value, "reference");
    if (text !== undefined) {
      const target = parseReference(text, base);
      const type = /(?:^|\/)(?<type>[A-Z][A-Za-z]+)\/[^/]+(?:\/_history\/[^/]+)?$/u.exec(text)?.groups?.[
        "type"
      ];
      if (target.kind === "local" && clinicalTypes.has(target.type)) found.add(`${target.type}/${target.id}`);
      else if (target.kind !== "local" && type !== undefined && clinicalTypes.has(type)) found.add(undefined);
    } else if (clinicalTypes.has(textAt(value, "type") ?? "") && isObject(value["identifier"] ?? null))
      found.add(undefined);
    for (const name of Object.keys(value)) visit(value[name] ?? null);
  };
  visit(row);
  return found;
}

/** A resource to which rows of the same patients refer. */
export interface Referred {
  /** As `Type/id`. */
  readonly resource: string;
  /** Ids of the patients of the rows, in order, with commas between. */
  readonly from: string;
}

/**
 * The labels of the resources to which the rows of a request refer, as far as they are known: a prescription for a
 * labelled condition, a note of a labelled encounter. A resource that is not known counts as labelled, and so does
 * each resource of a row after the first {@link referredMax}. A resource is known for rows of some patients: for rows
 * of further patients it may be of a different patient, and so absent.
 */
export class ReferredLabels {
  /** By the patients of rows, and by `Type/id`. */
  readonly #known = new Map<string, Map<string, ReferredRow>>();
  /** Short names of the patients of rows: a row may have thousands of patients. */
  readonly #patients: string[] = [];
  readonly #assumed: ReferredRow | undefined;

  /** @param assumed stands for each resource; undefined: each is asked for. */
  constructor(assumed?: ReferredRow) {
    this.#assumed = assumed;
  }

  /** Answers whether a resource is known for rows of these patients. */
  knows({ resource, from }: Referred): boolean {
    return this.#assumed !== undefined || this.#known.get(from)?.has(resource) === true;
  }

  /** The names of the resources that a row needs and that are not known: of the row, and of each resource inside it. */
  lacking(row: JsonObject, base: FhirBase): readonly string[] {
    const lacking = new Set<string>();
    const patients = patientsIn(row, base);
    for (const { resource } of nestedResources(row)) {
      // A resource inside that names no patient is of the row's patients.
      const from = patientsIn(resource, base) || patients;
      for (const name of followed(resource, base))
        if (name !== undefined && !this.knows({ resource: name, from }))
          lacking.add(`${name} ${this.#nameOf(from)}`);
    }
    return [...lacking];
  }

  /** The resource of a name in {@link lacking}. */
  named(name: string): Referred {
    const [resource = "", of] = name.split(" ");
    return { resource, from: this.#patients[Number(of)] ?? "" };
  }

  #nameOf(patients: string): number {
    const known = this.#patients.indexOf(patients);
    return known === -1 ? this.#patients.push(patients) - 1 : known;
  }

  /** @param row `undefined`: it is absent, or as absent. */
  learn({ resource, from }: Referred, row: ReferredRow | undefined): void {
    const known = this.#known.get(from) ?? new Map<string, ReferredRow>();
    this.#known.set(from, known.set(resource, row ?? absent));
  }

  /** No resource is known any more. */
  forget(): void {
    this.#known.clear();
  }

  /** The labels of a row together with the labels of the resources of its patients that it refers to. */
  withReferred(own: RowLabels, row: JsonObject, base: FhirBase): RowLabels {
    const from = patientsIn(row, base);
    let labels = own;
    for (const resource of followed(row, base)) labels = joinLabels(labels, this.#labelsOf(resource, from));
    return labels;
  }

  #labelsOf(resource: string | undefined, from: string): RowLabels {
    if (resource === undefined) return unresolved;
    if (this.#assumed !== undefined) return this.#assumed.labels;
    const known = this.#known.get(from)?.get(resource);
    if (known !== undefined || from !== "") return known?.labels ?? unresolved;
    // It is inside of a row of some patients, which has the same references.
    for (const [, resources] of this.#known) {
      const { labels } = resources.get(resource) ?? absent;
      if (labels !== unresolved) return labels;
    }
    return unresolved;
  }
}

/** Ids of the patients to whom a row belongs, as they stand in {@link Referred}. */
const patientsIn = (row: JsonObject, base: FhirBase): string =>
  ownersNamed(row, [base]).patients.toSorted().join();

/** As if no resource to which a row refers had a label: the row is judged by itself. */
export const noLabelReferred = new ReferredLabels({ labels: rowLabels([]), patients: undefined });

/** The references of a row within its limit; `undefined` for each that is not followed. */
function followed(row: JsonObject, base: FhirBase): readonly (string | undefined)[] {
  return [...clinicalReferences(row, base)].map((reference, index) =>
    index < referredMax ? reference : undefined,
  );
}
