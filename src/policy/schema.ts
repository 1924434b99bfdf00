import { operationNames } from "#fhir/operations";
import { r4ResourceTypes } from "#fhir/r4/types.gen";
import * as z from "zod/mini";
import { pathGrammar } from "#policy/view/element-path";

const path = z
  .string()
  .check(z.maxLength(500), z.regex(pathGrammar, "must be a path of element names, such as name.family"))
  .register(z.globalRegistry, {
    description:
      "Element path below the resource, e.g. `name.family`, `value[x]`, `identifier[system=http://example.org/mrn].value`.",
  });
const code = z
  .string()
  .check(z.maxLength(300), z.regex(/^[^\s,|]+(?:\|[^\s,|]+)?$/u))
  .register(z.globalRegistry, {
    description: "`system|code`, or a bare `code` where the element is a plain code.",
  });
const codes = z.array(code).check(z.minLength(1), z.maxLength(200));
const sentence = z.string().check(z.minLength(10), z.maxLength(2_000));

const condition = z
  .union([z.strictObject({ path, in: codes }), z.strictObject({ path, notIn: codes })])
  .register(z.globalRegistry, {
    description: "The rows that the rule covers: a coded element that is, or is not, one of these codes.",
  });

const fragment = z.record(z.string(), z.json());

const example = z.union([
  z.strictObject({
    says: sentence,
    resource: fragment.clone().register(z.globalRegistry, { description: "A synthetic resource." }),
    becomes: z.union([fragment, z.literal("withheld")]).register(z.globalRegistry, {
      description: "The exact resource that leaves, without the SUBSETTED tag; or `withheld`.",
    }),
  }),
  z.strictObject({
    says: sentence,
    request: z
      .string()
      .check(z.maxLength(1_000))
      .register(z.globalRegistry, { description: "A GET below the FHIR base: `Observation?patient=1`." }),
    is: z.enum(["permitted", "refused"]),
  }),
  z.strictObject({
    says: sentence,
    creates: fragment.clone().register(z.globalRegistry, {
      description: "A synthetic resource, as a client would send it to be created.",
    }),
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
export const userRelations = ["practitioner", "organization", "panel", "related-person"] as const;
export type UserRelation = (typeof userRelations)[number];

/** What decides without a Consent (`base`), and how several Consents agree (`combining`). */
const consent = z
  .strictObject({
    base: z.optional(z.enum(["honoured", "required"])).register(z.globalRegistry, {
      description:
        "`honoured`: a row leaves unless a Consent denies it. `required`: a row leaves only if a Consent permits it. Default: `required` for HRESCH and HMARKT and the purposes below them, `honoured` for each other purpose.",
    }),
    api: z.optional(z.enum(["payer-to-payer", "provider-access"])).register(z.globalRegistry, {
      description:
        "The API of a payer (CMS-0057-F) that the policy serves. A Consent of the category of one of these APIs counts for that API alone. Only for the whole policy.",
    }),
    combining: z
      .optional(z.enum(["deny-overrides", "most-specific", "most-recent"]))
      .register(z.globalRegistry, {
        description: "The rule for several Consents about the same row. Default: `deny-overrides`.",
      }),
  })
  .register(z.globalRegistry, {
    description: "How Consents of the patients whom a row concerns decide about the row.",
  });

const label = z
  .string()
  .check(z.regex(/^[A-Za-z0-9]{1,32}$/u))
  .register(z.globalRegistry, {
    description:
      "A security label: `R` or `V` (v3-Confidentiality, with the levels below), a code of v3-InformationSensitivityPolicy with the codes below, or `42CFRPart2`.",
  });

const labels = z
  .strictObject({
    leave: z
      .optional(
        z
          .array(
            z.strictObject({
              labels: z.array(label).check(z.minLength(1), z.maxLength(50)),
              purposes: z
                .optional(z.array(z.string()).check(z.minLength(1), z.maxLength(50)))
                .register(z.globalRegistry, {
                  description: "Only for these purposes and the purposes below them. Default: for all.",
                }),
              why: sentence.clone().register(z.globalRegistry, {
                description: "The clause that lets these labels leave without a Consent.",
              }),
            }),
          )
          .check(z.maxLength(20)),
      )
      .register(z.globalRegistry, {
        description:
          "Labels of rows that leave without a Consent. A row leaves if all its labels are here. A Consent lets further labels leave if it names them.",
      }),
    fromCodes: z.optional(z.boolean()).register(z.globalRegistry, {
      description:
        "Codes of the published value sets label a row like a label of the origin. Default: false; a Consent that names labels always reads the codes.",
    }),
    throughReferences: z.optional(z.boolean()).register(z.globalRegistry, {
      description:
        "A row has the labels of the resources that it refers to, too: a prescription for a labelled condition, a note of a labelled encounter. A reference that cannot be resolved counts as labelled. Default: as `fromCodes`.",
    }),
    part2: z.optional(z.boolean()).register(z.globalRegistry, {
      description:
        "The clients may receive records of 42 CFR Part 2, with the notice of 42 CFR 2.32, where a Consent (or `leave`) permits. Default: false.",
    }),
  })
  .register(z.globalRegistry, {
    description:
      "The security labels that may leave. Without it, a row with a label above N leaves only if a Consent names its labels.",
  });

const dataPeriod = z
  .union([
    z.strictObject({ since: z.iso.date() }),
    z.strictObject({ years: z.int().check(z.minimum(1), z.maximum(100)) }),
  ])
  .register(z.globalRegistry, {
    description:
      "Only rows of service dates since this day, or of the years before the request: a row of a type that R4 gives a date leaves if its time of service, or without it the latest of its dates, does not end earlier. A row without a date stays back.",
  });

const rule = z.strictObject({
  types: z.array(z.enum(r4ResourceTypes)).check(z.minLength(1)),
  interactions: z.array(z.enum(ruleInteractions)).check(z.minLength(1)),
  where: z
    .optional(z.array(condition).check(z.minLength(1), z.maxLength(20)))
    .register(z.globalRegistry, { description: "The row must meet all of them." }),
  show: z
    .union([z.literal("everything"), z.array(path).check(z.minLength(1), z.maxLength(500))])
    .register(z.globalRegistry, {
      description:
        "The elements of the resource that leave. Modifier elements of visible parents, `id` and `resourceType` are implicit.",
    }),
  extensions: z
    .optional(z.array(z.url()).check(z.minLength(1), z.maxLength(100)))
    .register(z.globalRegistry, {
      description:
        "Extensions that are shown wherever their parent is, by URL; also the modifier extensions that are understood.",
    }),
  deletes: z.optional(z.literal("unseen")).register(z.globalRegistry, {
    description:
      "Needed for `delete` if the view does not show everything: the delete also removes elements that its client never saw. Only a row that the client may see is ever deleted.",
  }),
  search: z.optional(z.array(z.string().check(z.minLength(1), z.maxLength(100)))).register(z.globalRegistry, {
    description: "Narrows the search parameters further than the view does. It never adds one.",
  }),
  referredBy: z
    .optional(
      z
        .array(z.string().check(z.regex(/^[A-Z][A-Za-z]{1,63}:[a-z][a-z-]{0,63}$/u)))
        .check(z.minLength(1), z.maxLength(20)),
    )
    .register(z.globalRegistry, {
      description:
        "For types that no patient owns (Practitioner, Organization …): under a patient's or a user's scope such a resource is read, and found by a search if the rule grants search, if a visible row refers to it by one of these references, as `Type:search-parameter`.",
    }),
  consent: z.optional(z.omit(consent, { api: true })),
  why: sentence
    .clone()
    .register(z.globalRegistry, { description: "The clause or contract that grants this." }),
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
  purposes: z
    .array(z.string())
    .check(z.minLength(1))
    .register(z.globalRegistry, { description: "The v3-ActReason codes that the policy may serve." }),
  users: z
    .optional(z.array(z.enum(userRelations)).check(z.minLength(1), z.maxLength(4)))
    .register(z.globalRegistry, {
      description:
        "The relations between the signed-in user (fhirUser) and a patient by which a `user/` scope covers the patient's records, in addition to a patient's own records. Each relation adds patients.",
    }),
  operations: z
    .optional(z.array(z.enum(operationNames)).check(z.minLength(1), z.maxLength(10)))
    .register(z.globalRegistry, {
      description:
        "The operations that clients may call, each within the rules: `everything` of a patient (types that may be searched and read), `lastn` of observations (like their search), `validate` (checks the structure of a submitted resource; reads nothing), `disclosures` (the disclosures of a patient: to the individual under PATRQT, to an officer under HOPERAT), `fileConsent` and `revokeConsent` of HL7 FAST Scalable Consent (like a create and a patch of a Consent, with its document in one transaction).",
    }),
  consentRegistrar: z.optional(z.literal(true)).register(z.globalRegistry, {
    description:
      "true: a Consent that this client writes for a patient may permit, for clients other than itself. Without this member only its denials count. For a client that receives consents from patients and checks who gave them.",
  }),
  consent: z.optional(consent),
  labels: z.optional(labels),
  dataPeriod: z.optional(dataPeriod),
  rules: z.array(rule).check(z.minLength(1), z.maxLength(500)),
});

export type PolicyDocument = z.infer<typeof policySchema>;
export type PolicyRule = PolicyDocument["rules"][number];
export type PolicyExample = PolicyRule["examples"][number];
export type PolicyConsent = NonNullable<PolicyDocument["consent"]>;
export type PolicyDataPeriod = NonNullable<PolicyDocument["dataPeriod"]>;
export type PolicyLabels = NonNullable<PolicyDocument["labels"]>;
export type RowCondition = NonNullable<PolicyRule["where"]>[number];

/** A problem in a document, and its place (RFC 6901). */
export interface PolicyProblem {
  readonly pointer: string;
  readonly problem: string;
}
