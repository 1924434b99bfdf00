import { largest } from "#kernel/largest";
import { coversPurpose } from "#fhir/r4/purpose-of-use";
import { Facts } from "#fhir/json/facts";
import { property, type Json } from "#fhir/json/json";
import type { LabelLimit } from "./consent/consent.ts";
import { generalOpening, type GeneralOpening } from "./consent/judge-consent.ts";
import type { PolicyLabels } from "./schema.ts";
import {
  confidentialityCodes,
  coversSensitivity,
  normal,
  psychotherapyNotes,
  restricted,
  rowLabels,
  saysInside,
  statedLabels,
  unreadableLabel,
  withInside,
  type RowLabels,
} from "./sensitivity/row-labels.ts";

/** The `labels` of a policy, compiled. */
export interface CompiledLabels {
  /** The labels that leave for a purpose without a Consent; undefined: the purpose is not known. */
  readonly leaveFor: (purpose: string | undefined) => LeavingLabels;
  readonly fromCodes: boolean;
  readonly throughReferences: boolean;
  readonly part2: boolean;
  /** The labels that a Consent without labels opens; undefined: no row with a label. */
  readonly generalOpens: GeneralOpening | undefined;
}

/** Labels that leave: a level with the levels below, and sensitivities with the codes below. */
interface LeavingLabels {
  /** Index in `confidentialityCodes`. */
  readonly level: number;
  readonly sensitivities: readonly string[];
  readonly part2: boolean;
}

export function compileLabels({
  leave = [],
  fromCodes = false,
  throughReferences = fromCodes,
  part2 = false,
  generalConsentOpens = [],
  generalConsentExcepts = [],
}: PolicyLabels = {}): CompiledLabels {
  const known = new Map<string | undefined, LeavingLabels>();
  const leaveFor = (purpose: string | undefined): LeavingLabels => {
    const labels = leave
      .filter(
        ({ purposes }) =>
          purposes === undefined ||
          (purpose !== undefined && purposes.some((wide) => coversPurpose(wide, purpose))),
      )
      .flatMap(({ labels }) => labels);
    const levels = labels.map((label) => confidentialityCodes.findIndex((code) => code === label));
    return {
      level: largest(levels, normal),
      sensitivities: labels.filter((_label, index) => levels[index] === -1),
      part2: part2 && labels.includes(part2Law),
    };
  };
  return {
    leaveFor: (purpose) => {
      const found = known.get(purpose) ?? leaveFor(purpose);
      if (known.size < purposesMax) known.set(purpose, found);
      return found;
    },
    fromCodes,
    throughReferences,
    part2,
    generalOpens:
      generalConsentOpens.length === 0
        ? undefined
        : generalOpening(
            generalConsentOpens.map(limitOf),
            generalConsentExcepts.flatMap((entry) => entry.labels.map(limitOf)),
          ),
  };
}

function limitOf(label: string): LabelLimit {
  const level = confidentialityCodes.findIndex((code) => code === label);
  return level < 0 ? { sensitivity: label } : { level };
}

// A registry grants some dozen purposes.
const purposesMax = 100;
export const part2Law = "42CFRPart2";

/** The labels of a row that its facts state. The most protective label counts for the whole row. */
export function labelsOf(facts: Facts): RowLabels {
  const [stated, inside] = [statedLabels(facts), Facts.inlineLabelsOf(facts)];
  if (stated.length === 0 && inside.length === 0) return noLabels;
  return rowLabels(
    withInside(
      stated,
      inside.map((label) => property(label, "valueCoding") ?? null),
    ),
  );
}

/** The labels of a row without a label. */
export const noLabels: RowLabels = rowLabels([]);

/** The labels of an element: its own, and the labels of its resource. */
export const labelsOfElement = (facts: Facts, labels: readonly Json[]): RowLabels =>
  rowLabels([...statedLabels(facts).filter((label) => !saysInside(label)), ...labels]);

/**
 * Answers whether labels ask for nothing: a level of N (normal) or below, and no further label (FHIR R4
 * security-labels, DS4P). An unknown label counts as a label, since it may be above normal.
 */
export const isHarmless = (labels: RowLabels): boolean =>
  labels.level <= normal && labels.sensitivities.size === 0 && !labels.hasUnknown && !labels.hasHandling;

/**
 * Answers whether a policy lets a row with these labels leave without a Consent. A level covers each
 * sensitivity up to it; psychotherapy notes (45 CFR 164.508(a)(2)) and records of 42 CFR Part 2 leave by no
 * level. A refrain or an obligation alone counts as R.
 */
export function leavesByPolicy({ level, sensitivities, part2 }: LeavingLabels, row: RowLabels): boolean {
  if (isHarmless(row)) return true;
  if (row.sensitivities.has(psychotherapyNotes) || (row.isPart2 && !part2)) return false;
  const weight = row.hasHandling ? Math.max(row.level, restricted) : row.level;
  if (weight <= level && (!row.hasUnknown || level === mostProtective)) return true;
  const leaves = (code: string) =>
    sensitivities.some((wide) => coversSensitivity(wide, code)) || (part2 && row.isPart2 && code === "SUD");
  return (
    row.sensitivities.size > 0 &&
    !row.hasUnknown &&
    weight <= Math.max(level, restricted) &&
    [...row.sensitivities].every(leaves)
  );
}

const mostProtective = confidentialityCodes.length - 1;

/**
 * Answers whether a labelled row leaves to the individual whom it is about (45 CFR 164.524): with each label but
 * psychotherapy notes (164.524(a)(1)(i)), or a label that cannot be read and may mean them. A policy that withholds
 * further rows from the individual says so by a condition of its rules.
 */
export const leavesToIndividual = (row: RowLabels): boolean =>
  !row.sensitivities.has(psychotherapyNotes) && !row.unknown.has(unreadableLabel);

/** Kinds of clients that are no health plan (`kind` of the registry); each further kind may be one. */
const kindsOfNoPlan: ReadonlySet<string> = new Set([
  "hospital",
  "laboratory",
  "operations",
  "patient",
  "pharmacy",
  "provider",
  "public-health",
  "research",
  "telehealth",
]);

/**
 * Answers whether a row leaves for no Consent and no policy: a service that the individual paid for in full is
 * not disclosed to a health plan for payment or operations (45 CFR 164.522(a)(1)(vi)).
 * @param clientKind undefined: the recipient may be a health plan.
 */
export const neverLeaves = (
  row: RowLabels,
  {
    purpose,
    clientKind,
  }: { readonly purpose?: string | undefined; readonly clientKind?: string | undefined },
): boolean =>
  row.isSelfPaid &&
  (clientKind === undefined || !kindsOfNoPlan.has(clientKind)) &&
  (purpose === undefined || coversPurpose("HPAYMT", purpose) || coversPurpose("HOPERAT", purpose));

/**
 * Answers whether a Binary has a `securityContext`, whose labels and rules apply to it (FHIR R4 binary
 * §2.42.3).
 */
export const hasContext = (facts: Facts): boolean =>
  property(facts, "resourceType") === "Binary" &&
  (property(facts, "securityContext") !== undefined || property(facts, "_securityContext") !== undefined);
