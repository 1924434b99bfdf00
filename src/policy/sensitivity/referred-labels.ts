import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { Facts } from "#fhir/json/facts";
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
 * The labels that a reference brings to a row of these patients. A resource of a different patient counts as
 * absent: a writer could otherwise learn from a row of their own that it exists, and its labels. A row that
 * names no patient is a part of a row that does, or is visible to a client of every patient only.
 */
const labelsFor = (patients: ReadonlySet<string>, { labels, patients: owners }: ReferredRow): RowLabels =>
  owners === undefined ||
  patients.size === 0 ||
  (owners.length > 0 && owners.every((owner) => patients.has(owner)))
    ? labels
    : unresolved;

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

/**
 * The labels of the resources to which the rows of a request refer, as far as they are known: a prescription for a
 * labelled condition, a note of a labelled encounter. A resource that is not known counts as labelled, and so does
 * each resource of a row after the first {@link referredMax}.
 */
export class ReferredLabels {
  /** By `Type/id`. */
  readonly #known = new Map<string, ReferredRow>();
  readonly #assumed: ReferredRow;

  /** @param assumed stands for each resource that is not known. */
  constructor(assumed = absent) {
    this.#assumed = assumed;
  }

  /** Answers whether a resource, as `Type/id`, is known. */
  knows(reference: string): boolean {
    return this.#known.has(reference);
  }

  /** The resources to which a row refers that are not known, as `Type/id`. */
  lacking(row: JsonObject, base: FhirBase): readonly string[] {
    return followed(row, base).flatMap((each) => (each === undefined || this.knows(each) ? [] : [each]));
  }

  /** @param row `undefined`: it is absent. */
  learn(reference: string, row: ReferredRow | undefined): void {
    this.#known.set(reference, row ?? absent);
  }

  /** The labels of a row together with the labels of the resources of its patients that it refers to. */
  withReferred(own: RowLabels, row: JsonObject, base: FhirBase): RowLabels {
    const patients = new Set(ownersNamed(row, [base]).patients);
    let labels = own;
    for (const reference of followed(row, base)) {
      const referred = reference === undefined ? absent : (this.#known.get(reference) ?? this.#assumed);
      labels = joinLabels(labels, labelsFor(patients, referred));
    }
    return labels;
  }
}

/** The references of a row within its limit; `undefined` for each that is not followed. */
function followed(row: JsonObject, base: FhirBase): readonly (string | undefined)[] {
  return [...clinicalReferences(row, base)].map((reference, index) =>
    index < referredMax ? reference : undefined,
  );
}
