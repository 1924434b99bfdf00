import { operationNames } from "#fhir/operations";
import { r4ResourceTypes } from "#fhir/r4/elements";
import * as z from "zod/mini";
import { calendarDay } from "#kernel/clock";
import { deidForms } from "#policy/form/fates";
import { pathGrammar } from "#policy/view/element-path";

const path = z
  .string()
  .check(z.maxLength(500), z.regex(pathGrammar, "must be a path of element names, such as name.family"));
const code = z.string().check(z.maxLength(300), z.regex(/^[^\s,|]+(?:\|[^\s,|]+)?$/u));
const codes = z.array(code).check(z.minLength(1), z.maxLength(200));
const sentence = z.string().check(z.minLength(10), z.maxLength(2_000));

const condition = z.union([z.strictObject({ path, in: codes }), z.strictObject({ path, notIn: codes })]);

const fragment = z.record(z.string(), z.json());

const example = z.union([
  z.strictObject({
    says: sentence,
    resource: fragment,
    becomes: z.union([fragment, z.literal("withheld")]),
  }),
  z.strictObject({
    says: sentence,
    request: z.string().check(z.maxLength(1_000)),
    is: z.enum(["permitted", "refused"]),
  }),
  z.strictObject({
    says: sentence,
    creates: fragment,
    is: z.enum(["permitted", "refused"]),
  }),
]);

/**
 * The interactions that a rule can grant. `read` includes each version that the rule covers; `update`
 * includes a patch.
 */
export const ruleInteractions = ["read", "search", "create", "update", "delete"] as const;
export type RuleInteraction = (typeof ruleInteractions)[number];

/**
 * The relations between a user and a patient. `practitioner`: the user is the patient's general practitioner,
 * in person or by a PractitionerRole. `organization`: the organization of the user's active PractitionerRole
 * manages the patient's record or is the general practitioner. `panel`: the user manages a Group that has the
 * patient as a member. `related-person`: the user is an active RelatedPerson of the patient.
 */
const userRelations = ["practitioner", "organization", "panel", "related-person"] as const;
export type UserRelation = (typeof userRelations)[number];

/** What decides without a Consent (`base`), and how several Consents agree (`combining`). */
const ruleConsent = {
  base: z.optional(z.enum(["honoured", "required"])),
  combining: z.optional(z.enum(["deny-overrides", "most-specific", "most-recent"])),
};
const consent = z.strictObject({
  ...ruleConsent,
  api: z.optional(z.enum(["payer-to-payer", "provider-access"])),
});

const label = z.string().check(z.regex(/^[A-Za-z0-9]{1,32}$/u));

const labelList = z.array(label).check(z.minLength(1), z.maxLength(50));

const labels = z.strictObject({
  leave: z.optional(
    z
      .array(
        z.strictObject({
          labels: labelList,
          purposes: z.optional(z.array(z.string()).check(z.minLength(1), z.maxLength(50))),
          why: sentence,
        }),
      )
      .check(z.maxLength(20)),
  ),
  fromCodes: z.optional(z.boolean()),
  throughReferences: z.optional(z.boolean()),
  part2: z.optional(z.boolean()),
  generalConsentOpens: z.optional(labelList),
  generalConsentExcepts: z.optional(
    z.array(z.strictObject({ labels: labelList, why: sentence })).check(z.minLength(1), z.maxLength(60)),
  ),
});

const day = z.string().check(z.regex(calendarDay, "must be a day, such as 2026-01-31"));
const dataPeriod = z.union([
  z.strictObject({ since: day }),
  z.strictObject({ years: z.int().check(z.minimum(1), z.maximum(100)) }),
]);

const dataSet = z.string().check(z.regex(/^[a-z][a-z0-9-]{0,63}$/u));
const shortText = z.string().check(z.minLength(3), z.maxLength(200));

const form = z.union([
  z.strictObject({
    kind: z.literal("safe-harbor"),
    dataSet,
    noActualKnowledge: z.strictObject({ statedBy: shortText, on: day }),
  }),
  z.strictObject({ kind: z.literal("limited-data-set"), dataSet }),
  z.strictObject({
    kind: z.literal("expert"),
    dataSet,
    table: z.enum(deidForms),
    method: shortText,
    expert: shortText,
    on: day,
    until: day,
  }),
]);

const rule = z.strictObject({
  types: z.array(z.enum(r4ResourceTypes)).check(z.minLength(1)),
  interactions: z.array(z.enum(ruleInteractions)).check(z.minLength(1)),
  where: z.optional(z.array(condition).check(z.minLength(1), z.maxLength(20))),
  show: z.union([z.literal("everything"), z.array(path).check(z.minLength(1), z.maxLength(500))]),
  extensions: z.optional(z.array(z.url()).check(z.minLength(1), z.maxLength(100))),
  deletes: z.optional(z.literal("unseen")),
  search: z.optional(z.array(z.string().check(z.minLength(1), z.maxLength(100)))),
  referredBy: z.optional(
    z
      .array(z.union([z.string().check(z.regex(/^[A-Z][A-Za-z]{1,63}:[a-z][a-z-]{0,63}$/u)), z.literal("*")]))
      .check(z.minLength(1), z.maxLength(20)),
  ),
  refersTo: z.optional(
    z.array(z.string().check(z.regex(/^[A-Z][A-Za-z]{1,63}:[a-z][a-z-]{0,63}$/u))).check(z.length(1)),
  ),
  consent: z.optional(z.strictObject(ruleConsent)),
  why: sentence,
  examples: z.array(example).check(z.minLength(1), z.maxLength(50)),
});

/**
 * A policy document. It only grants: a request that no rule grants is refused (P2). The schema is strict: an
 * unknown field makes the document unloadable.
 */
export const policySchema = z.strictObject({
  format: z.literal("phylax.policy.v1"),
  name: z.string().check(z.regex(/^[a-z][a-z0-9-]{0,63}$/u)),
  title: z.string().check(z.minLength(1), z.maxLength(200)),
  purposes: z.array(z.string()).check(z.minLength(1)),
  users: z.optional(z.array(z.enum(userRelations)).check(z.minLength(1), z.maxLength(4))),
  operations: z.optional(z.array(z.enum(operationNames)).check(z.minLength(1), z.maxLength(10))),
  consentRegistrar: z.optional(z.literal(true)),
  amendmentRegistrar: z.optional(z.literal(true)),
  consent: z.optional(consent),
  labels: z.optional(labels),
  dataPeriod: z.optional(dataPeriod),
  form: z.optional(form),
  namesBeyondAccess: z.optional(z.int().check(z.minimum(0), z.maximum(1_000))),
  rules: z.array(rule).check(z.minLength(1), z.maxLength(500)),
});

export type PolicyDocument = z.infer<typeof policySchema>;
export type PolicyRule = PolicyDocument["rules"][number];
export type PolicyExample = PolicyRule["examples"][number];
export type PolicyConsent = NonNullable<PolicyDocument["consent"]>;
export type PolicyDataPeriod = NonNullable<PolicyDocument["dataPeriod"]>;
export type PolicyLabels = NonNullable<PolicyDocument["labels"]>;
/** The form of 45 CFR 164.514 in which every row of a policy leaves. */
export type PolicyForm = NonNullable<PolicyDocument["form"]>;
export type RowCondition = NonNullable<PolicyRule["where"]>[number];

/** A problem in a document, and its place (RFC 6901). */
export interface PolicyProblem {
  readonly pointer: string;
  readonly problem: string;
}
