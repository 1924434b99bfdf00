import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { OriginTraits } from "#fhir/ports";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { baseNames, parseReference, type FhirBase } from "#fhir/r4/reference";
import { ConsentBook } from "#policy/consent/consent-book";
import { individualOf } from "#policy/consent/individual";
import type { KnownParty } from "#policy/consent/judge-consent";
import type { ResourceType } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import { TargetBook } from "#fhir/r4/target-book";
import { ReferredLabels } from "#policy/sensitivity/referred-labels";
import { consentsAtOrigin } from "#gateway/facts/consents-at-origin";
import { LabelsAtOrigin } from "#gateway/facts/labels-at-origin";
import { RelationsAtOrigin, type RememberedRelations } from "#gateway/facts/relations-at-origin";
import { ResolvedFacts } from "#gateway/facts/resolved-facts";
import {
  RequestConsents,
  type ConsentReadings,
  type ReadAtOriginFirst,
} from "#gateway/facts/request-consents";
import { TargetsAtOrigin } from "#gateway/facts/targets-at-origin";
import type { Consents } from "#policy/consent/consents";
import type { CompiledPolicy } from "#policy/compile";
import { showsInEachRule } from "#policy/relations";
import type { Access } from "#policy/row-access";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import type { RelateRefusal } from "#gateway/origin/asking";
import { authorizeRows, type Permission } from "./authorize.ts";
import { nameAsked } from "./name-asked.ts";

export interface PermitPorts {
  readonly consents: Consents;
  readonly consentReadings: ConsentReadings;
  readonly relations: RememberedRelations;
}

/**
 * Finds out which patients the caller's scopes mean, and gives the session by which Consents, labels and targets it
 * judges rows. It refuses a question that names too many patients.
 */
export async function permit(
  policy: CompiledPolicy,
  who: Principal,
  interaction: Interaction,
  origin: OriginSession,
  at: Instant,
  { consents, consentReadings, relations: remembered }: PermitPorts,
): Promise<Result<Permission, RelateRefusal | NamingRefusal>> {
  const relations = RelationsAtOrigin.of(who, policy.users, origin, at, remembered);
  const traits = await origin.traits();
  const targets = new TargetBook();
  const haveConsents = traits?.consents !== undefined || consents.mayHave(origin.name);
  const book = consentBook(policy, who, origin, traits, at, { targets, hasConsents: haveConsents });
  const referred = policy.labels.throughReferences ? new ReferredLabels() : undefined;
  const access: Access = {
    scopes: who.scopes,
    patient: who.patient,
    purpose: who.purpose,
    ...(relations && { usersPatients: relations.patients }),
    shows: showsInEachRule(policy),
    consents: book,
    consentsAreOrigins: traits?.consents?.verified !== undefined,
    targets,
    referred,
    at,
    idPrefix: who.client.idPrefix,
  };
  const named = patientsNamed(interaction);
  const expected = [
    ...named.map(({ patient }) => patient),
    ...(who.patient === undefined ? [] : [who.patient]),
  ];
  const readFirst = readingAtOrigin(origin, traits?.consents, consentReadings);
  const setting = { origin: origin.name, client: who.client.id, expected };
  const grantOf = (type: ResourceType, ids: readonly string[]) =>
    authorizeRows({ policy, access }, { ...everyRow, type, parameters: byId(type, ids) });
  origin.judgeBy(
    new ResolvedFacts(
      new RequestConsents(book, consents, setting, readFirst),
      new TargetsAtOrigin(targets, grantOf),
      referred && new LabelsAtOrigin(referred, origin.name, at),
      relations,
    ),
  );
  const permission = { policy, access };
  const naming = await nameAsked(permission, interaction, origin);
  return naming.ok ? ok(permission) : naming;
}

function consentBook(
  policy: CompiledPolicy,
  who: Principal,
  origin: OriginSession,
  traits: OriginTraits | undefined,
  at: Instant,
  onFile: { readonly targets: TargetBook; readonly hasConsents: boolean },
): ConsentBook {
  const bases: FhirBase = traits?.base === undefined ? origin.base : [origin.base, ...baseNames(traits.base)];
  return new ConsentBook({
    request: {
      recipient: recipientOf(who, bases),
      holder: { references: noReferences, identifiers: new Set(traits?.organization) },
      purpose: who.purpose,
      api: policy.consentApi,
      at,
    },
    individual: individualOf(who, bases),
    publicBase: origin.base,
    ...onFile,
  });
}

/** Reads the Consents at the origin before the Consents on file count; undefined: they are not read there. */
function readingAtOrigin(
  origin: OriginSession,
  consents: OriginTraits["consents"],
  readings: ConsentReadings,
): ReadAtOriginFirst | undefined {
  if (consents === undefined) return undefined;
  const { readEverySeconds, verified } = consents;
  return (patients) =>
    readings.bringUpToDate(origin.name, patients, readEverySeconds * 1_000, (due) =>
      consentsAtOrigin(due, origin.apart(), verified),
    );
}

const everyRow = { joins: [], includes: [], sort: [], count: undefined, posted: true };

function byId(type: ResourceType, ids: readonly string[]): readonly SearchParameter[] {
  const definition = searchParametersOf(type).get("_id");
  const values = ids.map((id) => ({ kind: "token" as const, text: id, system: undefined, code: id }));
  return definition === undefined ? [] : [{ definition, values }];
}

/** The holder's resource at the origin is not known: a Consent may mean it. */
const noReferences: ReadonlySet<string> = new Set();

/**
 * The names of the caller in a Consent: the signed-in user, by the user's reference at the origin, and the
 * client, by its id in the registry and by the identifiers of its organization. Without such identifiers each
 * organization that a Consent names may be the client's.
 */
function recipientOf(who: Principal, bases: FhirBase): KnownParty {
  const name = baseNames(bases).join(" ");
  const known = recipients.get(who);
  if (known?.bases === name) return known.party;
  const { user, client } = who;
  const reference = parseReference(user ?? "", bases);
  const party = {
    references: new Set(reference.kind === "local" ? [`${reference.type}/${reference.id}`] : []),
    identifiers: new Set([`${clientSystem}|${client.id}`, ...(client.organization ?? [])]),
  };
  recipients.set(who, { bases: name, party });
  return party;
}

/** A principal never changes, and is the same object for a token that is remembered (ADR 28). */
const recipients = new WeakMap<Principal, { readonly bases: string; readonly party: KnownParty }>();

/** The system of an identifier that names a client of the registry. */
const clientSystem = "urn:phylax:client";
