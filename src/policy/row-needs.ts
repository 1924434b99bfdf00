import { Facts } from "#fhir/json/facts";
import { textAt } from "#fhir/json/json";
import { hasPatients } from "#fhir/r4/compartment-tables";
import type { FhirBase } from "#fhir/r4/reference";
import { targetsOf } from "#fhir/r4/target-book";
import type { CompiledPolicy } from "./compile.ts";
import { isOfNoRow } from "./consent/consent-book.ts";
import type { Access } from "./row-access.ts";

/** The facts beside a row that its judgement reads and that are not known: each has to be asked for first. */
export interface RowNeeds {
  /** Ids of patients of whom it decides whether they are the user's; a row that needs them needs nothing else yet. */
  readonly related?: readonly string[];
  /** Ids of patients whose Consents judge the row. */
  readonly patients: readonly string[];
  /** Resources whose labels are labels of the row, by their names in `ReferredLabels`. */
  readonly referred: readonly string[];
  /** As `Type/id`: targets of a Provenance. */
  readonly targets: readonly string[];
}

/**
 * The needs of a row that type, owner, scope and conditions do not hide; `undefined`: it can be judged. The targets of
 * a Provenance come first where they say to whom it belongs, and the labels of referred resources last: a row that its
 * Consents hide asks for none.
 *
 * @param isOwnedByTargets the row belongs to the patients of its targets.
 */
export function needsOf(
  { labels: { throughReferences } }: CompiledPolicy,
  { consents, referred, targets }: Pick<Access, "consents" | "referred" | "targets">,
  row: Facts,
  base: FhirBase,
  isOwnedByTargets: boolean,
): RowNeeds | undefined {
  const book = typeof consents === "object" ? consents : undefined;
  const whole = Facts.wholeOf(row);
  let unseen: readonly string[] = [];
  const isFollowed = isOwnedByTargets || book?.followsTargets === true;
  if (targets !== undefined && isFollowed && textAt(row, "resourceType") === "Provenance") {
    const bases = book === undefined ? [base] : book.basesAt(base);
    unseen = targetsOf(row, bases).flatMap((target) => {
      if (typeof target === "string") return [];
      const { type, id } = target;
      const decides = !isOfNoRow(type) && (book?.followsTargets === true || hasPatients(type));
      return decides && !targets.knows(`${type}/${id}`) ? [`${type}/${id}`] : [];
    });
    if (unseen.length > 0 && isOwnedByTargets) return { patients: [], referred: [], targets: unseen };
  }
  const patients = book?.lacking(row, base) ?? [];
  if (patients.length + unseen.length > 0) return { patients, referred: [], targets: unseen };
  const lacksLabels = throughReferences && referred !== undefined && whole !== undefined;
  const unlabelled = lacksLabels ? referred.lacking(whole, base) : [];
  return unlabelled.length === 0 ? undefined : { patients, referred: unlabelled, targets: unseen };
}

/** The needs of a row before its owners are known; undefined: they are. */
export const relationNeeds = (related: readonly string[]): RowNeeds | undefined =>
  related.length === 0 ? undefined : { related, patients: [], referred: [], targets: [] };

/** The needs of several versions of a row; `undefined`: there is none. */
export function joinNeeds(all: readonly RowNeeds[]): RowNeeds | undefined {
  if (all.length < 2) return all[0];
  const distinct = (texts: readonly string[]) => [...new Set(texts)];
  const related = distinct(all.flatMap((needs) => needs.related ?? []));
  const patients = distinct(all.flatMap((needs) => needs.patients));
  const areOwned = related.length + patients.length === 0; // labels come last
  return {
    related,
    patients,
    referred: areOwned ? distinct(all.flatMap(({ referred }) => referred)) : [],
    targets: distinct(all.flatMap(({ targets }) => targets)),
  };
}
