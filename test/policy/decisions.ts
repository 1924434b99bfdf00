import {
  hasOwnerElement,
  isAboutOnly,
  isOwnedBy,
  mayBelongToAnother,
  namesListed,
} from "#fhir/r4/compartment";
import { participantPaths } from "#fhir/r4/compartment-tables";
import type { ResourceType } from "#fhir/r4/elements";
import type { FactPath, Facts } from "#fhir/json/facts";
import { textAt, type JsonObject } from "#fhir/json/json";
import { matchesSearch } from "#fhir/search/match";
import { instant } from "#kernel/clock";
import { isRowOf, type CompiledPolicy } from "#policy/compile";
import { evaluateWrite, type PlainWrite, type WriteGrant } from "#policy/evaluate-write";
import { factListsOf } from "#policy/facts";
import type { Grant } from "#policy/grant";
import { ConsentBook, type ConsentSetting } from "#policy/consent/consent-book";
import { nestedResources } from "#fhir/json/nested-resources";
import { needsOf } from "#policy/row-needs";
import { TargetBook } from "#fhir/r4/target-book";
import { RelatedPatients } from "#fhir/r4/related-patients";
import { hasContext, labelsOf } from "#policy/labels";
import { scopeOfPart2, weighRow } from "#policy/row-weight";
import { participantParts } from "#policy/search/participant-parts";
import {
  coversNested,
  coversRow,
  coversRowOrShared,
  patientsToRelate,
  rowAccessOf,
  type Access,
  type RowAccess,
} from "#policy/row-access";
import { rowFilterOf } from "#policy/scope-filters";
import { showsMore, widensAccess } from "#policy/self-widening";
import { Residences } from "#residence/row-residences";
import { origin } from "./granting.ts";

/** A grant, and the request that it was made from. */
export interface Granting {
  readonly policy: CompiledPolicy;
  readonly access: Access;
  readonly grant: Grant;
  /** Ids of patients, within the access and outside it. */
  readonly patients: readonly string[];
}

/** Makes facts: whole, or at the paths of a list. */
export type FactsMaker = (resource: JsonObject, listed: (type: string) => readonly FactPath[]) => Facts;

/** Answers by every decision about a resource; `other`: a second version of it, or its container. */
export type Decide = (asked: {
  readonly resource: JsonObject;
  readonly other: JsonObject;
  readonly make: FactsMaker;
  readonly granting: Granting;
}) => unknown;

const typeOf = (resource: JsonObject): string => textAt(resource, "resourceType") ?? "";

/** Decides with the lists of the grant, once with all paths and once, for the view, with the deciding part. */
const byGrant =
  (decide: (facts: (resource: JsonObject) => Facts, asked: Parameters<Decide>[0]) => unknown): Decide =>
  (asked) => {
    const { factPaths } = asked.granting.grant;
    return decide((resource) => asked.make(resource, factPaths), asked);
  };
const byDecidingPaths =
  (decide: (facts: (resource: JsonObject) => Facts, asked: Parameters<Decide>[0]) => unknown): Decide =>
  (asked) => {
    const { decidingPaths } = asked.granting.grant;
    return decide((resource) => asked.make(resource, decidingPaths), asked);
  };

/** Decides for each access to rows of the type that the scopes give. */
const byAccess = (decide: (facts: Facts, rowAccess: RowAccess, type: string) => unknown): Decide =>
  byGrant((facts, { resource, granting: { access } }) => {
    const rowAccess = rowAccessOf(access, typeOf(resource), "r");
    return rowAccess && decide(facts(resource), rowAccess, typeOf(resource));
  });

const byPatients = (decide: (facts: Facts, patients: ReadonlySet<string>) => unknown): Decide =>
  byGrant((facts, { resource, granting }) =>
    granting.patients.map((patient) => decide(facts(resource), new Set([patient]))),
  );

/** Decides about an update of the resource, if it is permitted. */
const byWrite = (decide: (facts: Facts, grant: WriteGrant) => unknown): Decide =>
  function ({ resource, make, granting: { policy, access } }) {
    // an unknown type is refused by the evaluation itself
    const write: PlainWrite = { kind: "create", type: typeOf(resource) as ResourceType };
    const granted = evaluateWrite(policy, access, write);
    return granted.ok ? decide(make(resource, granted.value.factPaths), granted.value) : granted.error.reason;
  };

const widening = (decide: typeof widensAccess): Decide =>
  function ({ resource, other, make, granting: { policy, access } }) {
    const type = typeOf(resource);
    const { factPaths } = factListsOf(policy, access, type);
    // the rules for the result's type judge both
    const both = (found: string) => [...factPaths(found), ...factPaths(type)];
    const [before, after] = [make(other, both), make(resource, both)];
    return [undefined, { type, nesting: "contained" as const }].map((container) =>
      decide(policy, access, { type, container }, before, after, origin),
    );
  };

/** Every decision that takes facts, by the file and the name of its declaration. */
export const decisions: Readonly<Record<string, Decide>> = {
  "policy/grant viewOfId": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    grant.viewOfId?.(facts(resource), origin),
  ),
  "policy/grant viewOf": byDecidingPaths((facts, { resource, other, granting: { grant } }) => [
    grant.viewOf(facts(resource), origin),
    grant.viewOf(facts(resource), origin, facts(other)),
  ]),
  "policy/grant needsOf": byDecidingPaths((facts, { resource, other, granting: { grant } }) => [
    JSON.stringify(grant.needsOf(facts(resource), origin)),
    JSON.stringify(grant.needsOf(facts(resource), origin, facts(other))),
  ]),
  "policy/grant needsIncluded": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    JSON.stringify(grant.needsIncluded(facts(resource), origin)),
  ),
  "policy/row-needs needsOf": byDecidingPaths((facts, { resource, granting: { policy } }) =>
    [true, false].map((isOwnedByTargets) => {
      const targets = new TargetBook();
      const access = { consents: bookOf({ hasConsents: true, targets }), targets };
      // a row with resources inside is read whole
      if ([...nestedResources(resource)].length > 1) return undefined;
      return JSON.stringify(needsOf(policy, access, facts(resource), origin, isOwnedByTargets));
    }),
  ),
  "policy/grant viewIncluded": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    [new Set<string>(), new Set(grant.includes.map(({ name }) => name)), referring].map((through) =>
      grant.viewIncluded(facts(resource), origin, through),
    ),
  ),
  "policy/grant viewInside": byDecidingPaths((facts, { resource, other, granting: { grant } }) =>
    ([undefined, "contained", "entry"] as const).flatMap((nesting) => [
      grant.viewInside(facts(resource), origin, nesting),
      grant.viewInside(facts(resource), origin, nesting, typeOf(other)),
    ]),
  ),
  "policy/grant mustShow": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    grant.mustShow?.(facts(resource)).map(({ definition }) => definition.code),
  ),
  "fhir/search/match matchesSearch": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    matchesSearch(facts(resource), grant.clientParameters, origin),
  ),
  "policy/labels labelsOf": byDecidingPaths((facts, { resource }) => {
    const { sensitivities, ...labels } = labelsOf(facts(resource));
    return JSON.stringify([labels, ...sensitivities]);
  }),
  "policy/grant needsWhole": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    grant.needsWhole(facts(resource), origin),
  ),
  "policy/grant timesAsked": byDecidingPaths((facts, { resource, granting: { grant } }) =>
    JSON.stringify(grant.timesAsked(facts(resource), origin)),
  ),
  "policy/consent/consent-book of": byDecidingPaths((facts, { resource }) => {
    const book = bookOf();
    const consents = book.of(facts(resource), origin);
    return [consents.hasConsentInForce, consents.permit({ base: "required", combining: "deny-overrides" })];
  }),
  "policy/row-weight weighRow": byDecidingPaths((facts, { resource, granting: { policy } }) =>
    [undefined, "TREAT", "HPAYMT", "HRESCH"].map((purpose) => {
      const permits = weighRow(policy, { purpose, consents: bookOf() }, facts(resource), origin);
      return permits && policy.rulesFor(typeOf(resource)).map(permits);
    }),
  ),
  "policy/row-weight scopeOfPart2": byDecidingPaths((facts, { resource, granting: { policy } }) =>
    scopeOfPart2(policy, { purpose: "TREAT", consents: bookOf() }, facts(resource), origin),
  ),
  "policy/labels hasContext": byDecidingPaths((facts, { resource }) => hasContext(facts(resource))),
  "policy/compile isRowOf": byDecidingPaths((facts, { resource, granting: { policy } }) =>
    policy.rulesFor(typeOf(resource)).map((rule) => isRowOf(rule, facts(resource))),
  ),
  "policy/facts conditionsMet": ({ resource, make, granting: { grant } }) =>
    grant.conditionsMet(
      typeOf(resource),
      make(resource, (type) => [["resourceType"], ...grant.conditionPaths(type)]),
    ),
  "policy/row-access coversRow": byAccess((facts, rowAccess) => coversRow(rowAccess, facts, origin)),
  "policy/row-access coversRowOrShared": byAccess((facts, rowAccess, type) =>
    coversRowOrShared(rowAccess, facts, type, origin),
  ),
  "policy/row-access patientsToRelate": byAccess((facts, rowAccess, type) => {
    const open = rowAccess.map((part) => ({ ...part, owners: part.owners && new RelatedPatients() }));
    return patientsToRelate(open, facts, type, origin);
  }),
  "policy/row-access coversNested": byAccess((facts, rowAccess) =>
    ([undefined, "contained", "entry"] as const).map((nesting) =>
      coversNested(rowAccess, rowAccess, facts, origin, nesting),
    ),
  ),
  "policy/scope-filters meets": byDecidingPaths((facts, { resource, granting: { access } }) =>
    access.scopes.flatMap(({ filters }) =>
      filters.map((filter) => rowFilterOf(typeOf(resource), filter)?.meets(facts(resource), origin)),
    ),
  ),
  "fhir/r4/compartment isOwnedBy": byPatients((facts, patients) => isOwnedBy(facts, patients, origin)),
  "fhir/r4/compartment isAboutOnly": byPatients((facts, patients) => isAboutOnly(facts, patients, origin)),
  "fhir/r4/compartment mayBelongToAnother": byPatients((facts, patients) =>
    (["contained", "entry"] as const).map((nesting) => mayBelongToAnother(facts, patients, origin, nesting)),
  ),
  "fhir/r4/compartment hasOwnerElement": byDecidingPaths((facts, { resource }) =>
    hasOwnerElement(facts(resource)),
  ),
  "fhir/r4/compartment namesListed": byPatients((facts, patients) =>
    namesListed(facts, participantPaths(typeOf(facts)), patients, origin),
  ),
  "policy/search/participant-parts isOwn": byDecidingPaths(
    (facts, { resource, granting: { policy, access } }) => {
      const type = typeOf(resource) as ResourceType; // a type without rules has no part
      const rowAccess = rowAccessOf(access, type, "s");
      const searchRules = policy.rulesTo(type, "search");
      return rowAccess === undefined
        ? []
        : participantParts(policy, { type, parameters: [] }, { searchRules, rowAccess }).map(({ isOwn }) =>
            isOwn(facts(resource), origin),
          );
    },
  ),
  "residence/row-residences note": byGrant((facts, { resource, granting: { patients } }) => {
    const residences = new Residences(instant(0));
    residences.note(facts(resource));
    return [...patients, textAt(resource, "id") ?? ""].map((patient) => residences.of(patient));
  }),
  "policy/evaluate-write writable": byWrite((facts, { writable }) => writable(facts, origin)),
  "policy/evaluate-write mayRead": byWrite((facts, { mayRead }) => mayRead(facts, origin)),
  "policy/evaluate-write writableInside": byWrite((facts, { writableInside }) => [
    writableInside(facts, origin, "contained"),
    writableInside(facts, origin, "entry"),
  ]),
  "policy/self-widening showsMore": widening((policy, _access, row, stored, result) =>
    showsMore(policy, row, stored, result),
  ),
  "policy/self-widening widensAccess": widening(widensAccess),
};

const bookOf = (more: Partial<ConsentSetting> = {}) =>
  new ConsentBook({
    ...more,
    request: {
      recipient: { references: new Set(), identifiers: new Set() },
      holder: { references: new Set(), identifiers: new Set() },
      purpose: "TREAT",
      at: instant(0),
    },
    individual: undefined,
    publicBase: "https://gateway.example/v1/fhir/main",
  });

/** References by which small worlds and real records name resources without an owner. */
const referring = new Set(["Encounter:participant", "Observation:performer", "Patient:general-practitioner"]);
