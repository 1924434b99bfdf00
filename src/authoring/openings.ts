import { coversPurpose } from "#fhir/r4/purpose-of-use";
import { readPolicyDocument } from "#policy/document";
import { isSameContent } from "#registry/canonical";
import type { PlannedChange } from "#registry/plan";
import { permitsNoMore } from "./diff.ts";
import type { PolicyBodies } from "./plan-lines.ts";
import { removalsThatOpen, type RemovableEntries } from "./removals-that-open.ts";

/** The registry before a change, as far as it decides what the change opens. */
export interface AroundChange extends RemovableEntries {
  /** The issuers at which active operators sign in: a change of such an issuer needs a second person. */
  readonly operatorIssuers: ReadonlySet<string>;
}

/** Answers whether the later of two differing values permits no more than the earlier. */
type Narrows = (before: unknown, after: unknown, policies: PolicyBodies) => boolean;

const neverOpens: Narrows = () => true;

/** Each item of the later list is in the earlier list. An absent list has no items. */
const fewer: Narrows = (before, after) => {
  const [known, left] = [listOf(before), listOf(after)];
  return left.every((each) => known.some((item) => isSameContent(item, each)));
};

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const keysFewer: Narrows = (before, after) => fewer(member(before, "keys"), member(after, "keys"), {});

const member = (value: unknown, field: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, field) : undefined;

const becomes =
  (value: unknown): Narrows =>
  (_before, after) =>
    after === value;

/** A moment that is earlier or, if it permits an exception, absent. */
const earlier: Narrows = (before, after) =>
  after === undefined || (typeof before === "number" && typeof after === "number" && after < before);

const scopesFewer: Narrows = (before, after) =>
  fewer(String(before).split(" "), String(after).split(" "), {});

/** Each quota permits at most as much as before, in windows of the same length. */
const quotasLower: Narrows = (before, after) =>
  (["default", "perSubject", "records"] as const).every((quota) => {
    const [known, left] = [member(before, quota), member(after, quota)];
    if (isSameContent(known, left) || known === undefined) return true;
    const amount = quota === "records" ? "records" : "requests";
    const [most, rest] = [member(known, amount), member(left, amount)];
    return (
      member(known, "windowSeconds") === member(left, "windowSeconds") &&
      typeof most === "number" &&
      typeof rest === "number" &&
      rest <= most
    );
  });

const policyNarrower: Narrows = (before, after, policies) =>
  isNarrowerPolicy(policies[String(before)], policies[String(after)]);

/** True if the later content of a policy is known to permit no more than the earlier content. */
export function isNarrowerPolicy(before: unknown, after: unknown): boolean {
  const [left, right] = [readPolicyDocument(before), readPolicyDocument(after)];
  return left.ok && right.ok && permitsNoMore(left.value, right.value);
}

/**
 * The fields of which some changes permit no more than before. A field that is not listed opens access with each
 * change of it.
 */
const narrowing: Readonly<Record<PlannedChange["kind"], Readonly<Record<string, Narrows>>>> = {
  issuer: { jwks: keysFewer, algs: fewer },
  origin: { limits: neverOpens },
  policy: {},
  client: {
    status: becomes("suspended"),
    jwks: keysFewer,
    corsOrigins: fewer,
    unboundUntil: earlier,
    patient: (before) => before === undefined,
    region: neverOpens,
    idPrefix: becomes(undefined),
  },
  certificate: {},
  agreement: { to: earlier },
  grant: {
    policy: policyNarrower,
    scopes: scopesFewer,
    quotas: quotasLower,
    signedRequests: becomes(true),
    signedResponses: neverOpens,
    keyedWrites: becomes(true),
    measureElements: neverOpens,
  },
};

/**
 * The changes that may open access, in words: each new entry, and each changed field that is not known to permit
 * less. A removal opens only if a token counts afterwards that did not count before. The list is empty if one person
 * may make the change.
 */
export const openings = (
  changes: readonly PlannedChange[],
  policies: PolicyBodies,
  around: AroundChange,
): readonly string[] =>
  changes.flatMap((change) => openingsOf(change, policies, around)).concat(removalsThatOpen(changes, around));

function openingsOf(
  { kind, name, before, after }: PlannedChange,
  policies: PolicyBodies,
  { grants, operatorIssuers }: AroundChange,
): readonly string[] {
  if (after === undefined) return [];
  if (before === undefined) return [`${kind} ${name} is new`];
  const isOperators = kind === "issuer" && operatorIssuers.has(name);
  // Under PATRQT a token's patient gets the rights of the individual (45 CFR 164.524).
  const isIndividuals = (field: string) =>
    kind === "client" &&
    field === "patient" &&
    grants.some(({ client, purpose }) => client === name && coversPurpose("PATRQT", purpose));
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields
    .filter((field) => {
      const [from, to]: unknown[] = [Reflect.get(before, field), Reflect.get(after, field)];
      if (isSameContent(from, to)) return false;
      return isOperators || isIndividuals(field) || narrowing[kind][field]?.(from, to, policies) !== true;
    })
    .map((field) => `${kind} ${name}: ${field}`);
}
