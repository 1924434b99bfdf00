import { systemName } from "#fhir/code-system";
import { isArray, isObject, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import { isPurposeOfUse } from "#fhir/r4/purpose-of-use";
import { parseReference, type FhirBase } from "#fhir/r4/reference";
import { securityLabelOf } from "#policy/sensitivity/row-labels";
import {
  codeName,
  unclear,
  type ClassLimit,
  type ConsentRules,
  type DataLimit,
  type DataMeaning,
  type Effect,
  type ProvisionFrame,
  type LabelLimit,
  type Limits,
  type Party,
  type Provision,
  type RootReading,
  type Unclear,
} from "./consent.ts";
import { formMax, storedFormOf } from "./stored-form.ts";
import { spanOf, spanOfPeriod } from "./time-span.ts";
import { unreadConsents } from "./unread-consents.ts";

const thp = "http://terminology.hl7.org/CodeSystem/";

/** Nested provisions below the root. IHE PCF and HL7 FAST stop at one level; R4 sets no bound. */
const provisionDepthMax = 4;
/** Provisions of one Consent; a longer Consent is not understood. */
const provisionsMax = 200;

/**
 * Reads a Consent of FHIR R4 4.0.1. It never fails: a part that is not understood is kept as `unclear`, so
 * that it permits nothing and denies every row that it could mean.
 * @param base the origin's FHIR base, by its names: references below it are local.
 */
export function readConsent(resource: JsonObject, base: FhirBase): ConsentRules {
  const reader = new ConsentReader(base);
  const given = property(resource, "dateTime");
  const span = given === undefined ? null : spanOf(given);
  const strange = strangeMember(resource, consentMembers);
  const scope = reader.scopeOf(property(resource, "scope"));
  const api = apiOf(property(resource, "category"));
  const readings = scope === "other" ? [] : reader.readings(resource);
  const status = textAt(resource, "status");
  const isKnown = status === "active" || inactive.has(status ?? "");
  const parts = {
    status: !isKnown,
    scope: scope === unclear,
    category: api === unclear,
    provision: reader.tooMany,
  };
  const [strangePart] = Object.entries(parts).flatMap(([name, isStrange]) => (isStrange ? [name] : []));
  const rules = {
    isActive: !inactive.has(status ?? "") && scope !== "other",
    ...(span !== null && { given: span }),
    ...(api !== undefined && api !== unclear && { api }),
    readings,
    ...unclearAt(strange ?? strangePart),
  };
  const isTooLong = storedFormOf(rules).length > formMax;
  return isTooLong ? { ...unreadConsents, isActive: rules.isActive } : rules;
}

/** Answers whether a Consent in force has more than is stored: whatever it says, it denies all but an emergency. */
export const isUnreadablyLong = ({ isActive, standsForUnread }: ConsentRules): boolean =>
  isActive && standsForUnread === true;

/** The statuses of a Consent that is as if there were none (FHIR R4 consent-state-codes). */
const inactive: ReadonlySet<string> = new Set([
  "draft",
  "proposed",
  "rejected",
  "inactive",
  "entered-in-error",
]);

/** The API that the categories name, or both; a further code of that system is not understood. */
function apiOf(categories: Json | undefined): ConsentRules["api"] | Unclear {
  const codes = new Set(
    (isArray(categories) ? categories : [])
      .flatMap(codingsOf)
      .filter(({ system }) => system === apiPurposes)
      .map(({ code }) => code),
  );
  const [only, ...others] = codes;
  if (only === undefined) return undefined;
  if (![...codes].every((code) => code === "payer-to-payer" || code === "provider-access")) return unclear;
  return others.length > 0 ? "both" : only === "payer-to-payer" ? only : "provider-access";
}
const apiPurposes = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/pdex-consent-api-purpose";

const unclearAt = (path: string | undefined): { unclear?: string } =>
  path === undefined ? {} : { unclear: path };

class ConsentReader {
  readonly #base: FhirBase;
  #provisions = 0;

  constructor(base: FhirBase) {
    this.#base = base;
  }

  get tooMany(): boolean {
    return this.#provisions > provisionsMax;
  }

  /** Only patient-privacy concerns disclosures; research, treatment and adr are agreements of a different kind. */
  scopeOf(scope: Json | undefined): "privacy" | "other" | Unclear {
    const codes = codingsOf(scope).map(({ system, code }) => `${system}|${code}`);
    if (codes.includes(`${thp}consentscope|patient-privacy`)) return "privacy";
    return codes.length > 0 && codes.every((code) => otherScopes.has(code)) ? "other" : unclear;
  }

  /**
   * In R4 the root may have no type: then it states exceptions to the base policy, and R4's own examples use
   * this form in two ways. A stated type of the root is read as in IHE PCF.
   */
  readings(resource: JsonObject): readonly RootReading[] {
    const stated = property(resource, "provision");
    const rule = baseEffectOf(property(resource, "policyRule"));
    const root = this.#provision(isObject(stated) ? stated : emptyObject, "provision", undefined);
    const reading = (effect: Effect | Unclear): RootReading => ({
      root: { ...root, effect },
      outside: rule === "deny" ? "deny" : "silent",
      world: "closed",
    });
    const isStated =
      isObject(stated) && (property(stated, "type") ?? property(stated, "_type")) !== undefined;
    if (isStated) return [{ root, outside: "silent", world: "closed" }];
    if (root.exceptions.length > 0 || rule === unclear || !isRestricting(root)) return [reading(rule)];
    // Without a type, limits alone are ambiguous: the frame of the base policy, or the exception to it.
    const exception: RootReading = {
      root: { ...root, effect: rule === "permit" ? "deny" : "permit" },
      outside: rule,
      world: "open",
    };
    return [reading(rule), exception];
  }

  #provision(object: JsonObject, path: string, around: Provision | undefined): Provision {
    this.#provisions++;
    const depth = path.split(".").length - 1;
    const type = property(object, "type");
    const frame = this.#frame(object);
    const limits = this.#limits(object);
    const nested = property(object, "provision");
    const isReadable = nested === undefined || (isArray(nested) && nested.every(isObject));
    const provision: Provision = {
      path,
      effect: type === "permit" || type === "deny" ? type : unclear,
      specificity: (around?.specificity ?? 0) + Object.keys(frame).length + Object.keys(limits).length,
      isUnclear: !isReadable || strangeMember(object, provisionMembers) !== undefined,
      frame,
      limits,
      exceptions: [],
    };
    if (!isArray(nested) || !isReadable) return provision;
    // an exception beyond the bounds is not read, so it may be a denial of every row
    if (depth >= provisionDepthMax || this.tooMany)
      return { ...provision, exceptions: [overDeep(provision)] };
    return {
      ...provision,
      exceptions: nested
        .filter(isObject)
        .map((item, index) => this.#provision(item, `${path}.provision[${index}]`, provision)),
    };
  }

  #frame(object: JsonObject): ProvisionFrame {
    const period = property(object, "period");
    const purposes = list(object, "purpose", purposeOf);
    const actions = list(object, "action", (concept) => actionOf(codingsOf(concept)));
    const actors = list(object, "actor", (actor) => this.#actor(actor));
    const recipients = partiesIn(actors, "recipient");
    const holders = partiesIn(actors, "holder");
    return {
      ...(period !== undefined && { period: spanOfPeriod(period) ?? unclear }),
      ...(purposes && { purposes }),
      ...(actions && { actions }),
      ...(recipients.length > 0 && { recipients }),
      ...(holders.length > 0 && { holders }),
      ...(actors?.some((actor) => actor === unclear || actor.role === unclear) === true && {
        hasOtherActors: true as const,
      }),
    };
  }

  #actor(actor: Json): Actor | Unclear {
    if (!isObject(actor) || strangeMember(actor, actorMembers) !== undefined) return unclear;
    const roles = codingsOf(property(actor, "role")).map(({ system, code }) => roleOf(system, code));
    const [role = unclear] = roles;
    return {
      role: roles.every((each) => each === role) ? role : unclear,
      party: this.#party(property(actor, "reference")),
    };
  }

  /** A display alone names an actor for people only. */
  #party(reference: Json | undefined): Party | Unclear {
    if (!isObject(reference)) return unclear;
    const local = this.#localReference(reference);
    const identifier = identifierOf(property(reference, "identifier"));
    if (local !== undefined) return { reference: local, ...(identifier !== undefined && { identifier }) };
    return identifier === undefined || textAt(reference, "reference") !== undefined
      ? unclear
      : { identifier };
  }

  #localReference(reference: JsonObject): string | undefined {
    const found = parseReference(textAt(reference, "reference") ?? "", this.#base);
    return found.kind === "local" ? `${found.type}/${found.id}` : undefined;
  }

  #limits(object: JsonObject): Limits {
    const dataPeriod = property(object, "dataPeriod");
    const labels = list(object, "securityLabel", labelOf);
    const types = list(object, "class", classOf);
    const codes = list(object, "code", (concept) => {
      const codings = codingsOf(concept);
      return codings.length === 0 ? [unclear] : codings.map(({ system, code }) => codeName(system, code));
    })?.flat();
    const data = list(object, "data", (item) => this.#data(item));
    return {
      ...(dataPeriod !== undefined && { dataPeriod: spanOfPeriod(dataPeriod) ?? unclear }),
      ...(labels && { labels }),
      ...(types && { types }),
      ...(codes && { codes }),
      ...(data && { data }),
    };
  }

  #data(item: Json): DataLimit | Unclear {
    if (!isObject(item) || strangeMember(item, dataMembers) !== undefined) return unclear;
    const [meaning, reference] = [property(item, "meaning"), property(item, "reference")];
    const local = isObject(reference) ? this.#localReference(reference) : undefined;
    return isMeaning(meaning) && local !== undefined ? { meaning, reference: local } : unclear;
  }
}

interface Actor {
  readonly role: "recipient" | "holder" | Unclear;
  readonly party: Party | Unclear;
}

/**
 * The parties in a role. Beside them each actor in a role that is not understood may have this role too; the
 * provision itself stays uncertain by {@link ProvisionFrame.hasOtherActors}.
 */
function partiesIn(
  actors: readonly (Actor | Unclear)[] = [],
  role: NonNullable<Actor["role"]>,
): readonly (Party | Unclear)[] {
  const isAny = actors.some((actor) => actor !== unclear && actor.role === role);
  if (!isAny) return [];
  return actors.flatMap((actor) => {
    if (actor === unclear) return [unclear];
    return actor.role === role || actor.role === unclear ? [actor.party] : [];
  });
}

const emptyObject: JsonObject = {};
const otherScopes: ReadonlySet<string> = new Set(
  ["adr", "research", "treatment"].map((code) => `${thp}consentscope|${code}`),
);

const isRestricting = ({ frame, limits, isUnclear }: Provision): boolean =>
  isUnclear || Object.keys(frame).length + Object.keys(limits).length > 0;

const overDeep = ({ path, specificity }: Provision): Provision => ({
  path: `${path}.provision`,
  effect: unclear,
  specificity,
  isUnclear: true,
  frame: {},
  limits: {},
  exceptions: [],
});

// R4's members. `modifierExtension` and `implicitRules` are in no list: they may change the meaning
// (FHIR R4 extensibility §2.4.0.1), and so may a member of a later version.
const consentMembers = members(
  "resourceType id meta language text contained extension identifier status scope category patient dateTime " +
    "performer organization source sourceAttachment sourceReference policy policyRule verification provision",
);
const provisionMembers = members(
  "id extension type period actor action securityLabel purpose class code dataPeriod data provision",
);
const actorMembers = members("id extension role reference");
const dataMembers = members("id extension meaning reference");

function members(names: string): ReadonlySet<string> {
  return new Set(names.split(" "));
}

/**
 * The first member that is in no list; the extensions of a primitive (`_status`) belong to their primitive. A further
 * element has no such member: it would be an element that is not read.
 */
function strangeMember(object: JsonObject, known: ReadonlySet<string>): string | undefined {
  return Object.keys(object).find((name) => !known.has(name) && !primitives.has(name));
}
const primitives = members("_id _language _status _dateTime _type _meaning");

/** Each item of a list; undefined for an absent list, `unclear` alone for a value that is no list with items. */
function list<T>(
  object: JsonObject,
  name: string,
  read: (item: Json) => T,
): readonly (T | Unclear)[] | undefined {
  const value = property(object, name);
  if (value === undefined) return undefined;
  return isArray(value) && value.length > 0 ? value.map(read) : [unclear];
}

interface CodeOfSystem {
  readonly system: string | undefined;
  readonly code: string;
}

/** The Codings of a CodeableConcept that have a code. */
const codingsOf = (concept: Json | undefined): readonly CodeOfSystem[] => {
  const codings = isObject(concept) ? property(concept, "coding") : undefined;
  return isArray(codings) ? codings.flatMap(codingOf) : [];
};

function codingOf(coding: Json): readonly CodeOfSystem[] {
  const code = isObject(coding) ? textAt(coding, "code") : undefined;
  return isObject(coding) && code !== undefined ? [{ system: textAt(coding, "system"), code }] : [];
}

/** The base policy: OPTIN permits, OPTOUT denies; no conclusion follows from any further rule. */
function baseEffectOf(policyRule: Json | undefined): Effect | Unclear {
  const effects = codingsOf(policyRule).map(({ system, code }) =>
    system === `${thp}v3-ActCode` && Object.hasOwn(baseEffects, code)
      ? (baseEffects[code] ?? unclear)
      : unclear,
  );
  const [first = unclear] = effects;
  return effects.every((effect) => effect === first) ? first : unclear;
}
const baseEffects: Readonly<Record<string, Effect>> = { OPTIN: "permit", OPTOUT: "deny" };

/**
 * A purpose of v3-ActReason. A code of a different code system (a project's own) is kept with its system: no
 * request has such a purpose. A code of a further name of v3-ActReason, or of a system of purposes of use beside it,
 * may be the purpose of a request.
 */
function purposeOf(coding: Json): string | Unclear {
  const [purpose] = codingOf(coding);
  if (purpose?.system === undefined) return unclear;
  if (purpose.system !== `${thp}v3-ActReason`)
    return purposeSystems.has(systemName(purpose.system)) ? unclear : `${purpose.system}|${purpose.code}`;
  return isPurposeOfUse(purpose.code) ? purpose.code : unclear;
}

// By systemName: v3-ActReason, its names in FHIR STU3 and as an OID; NHIN PurposeOfUse (IHE XUA); ISO 14265.
const purposeSystems: ReadonlySet<string> = new Set([
  `${thp}v3-ActReason`.toLowerCase(),
  "http://hl7.org/fhir/v3/actreason",
  "2.16.840.1.113883.5.8",
  "2.16.840.1.113883.3.18.7.1",
  "1.0.14265.1",
]);

/** The meaning of a code of `consentaction` here: a request reads, or it writes: `collect` stores information. */
function actionOf(codings: readonly CodeOfSystem[]): "read" | "write" | Unclear {
  const [only, ...others] = codings;
  if (only?.system !== `${thp}consentaction` || others.length > 0) return unclear;
  return Object.hasOwn(actions, only.code) ? (actions[only.code] ?? unclear) : unclear;
}
const actions: Readonly<Record<string, "read" | "write">> = {
  access: "read",
  disclose: "read",
  use: "read",
  correct: "write",
  collect: "write",
};

/** IRCP and PRCP receive the data; CST and `performer` (HRex) hold and disclose it. */
function roleOf(system: string | undefined, code: string): "recipient" | "holder" | Unclear {
  const name = `${system}|${code}`;
  return Object.hasOwn(roles, name) ? (roles[name] ?? unclear) : unclear;
}
const roles: Readonly<Record<string, "recipient" | "holder">> = {
  [`${thp}v3-ParticipationType|IRCP`]: "recipient",
  [`${thp}v3-ParticipationType|PRCP`]: "recipient",
  [`${thp}v3-ParticipationType|CST`]: "holder",
  [`${thp}provenance-participant-type|performer`]: "holder",
};

function labelOf(coding: Json): LabelLimit | Unclear {
  const label = securityLabelOf(coding);
  if (label.kind === "level") return { level: label.level };
  if (label.kind === "sensitivity") return { sensitivity: label.code };
  return label.kind === "unknown" && label.name !== undefined ? { label: label.name } : unclear;
}

/** A resource type, or a profile; each other class (a document's type, a media type) is not understood. */
function classOf(coding: Json): ClassLimit | Unclear {
  const [found] = codingOf(coding);
  if (found === undefined) return unclear;
  if (found.system === "http://hl7.org/fhir/resource-types" && isResourceType(found.code))
    return { type: found.code };
  return found.system === "urn:ietf:rfc:3986" && /^https?:/u.test(found.code)
    ? { profile: found.code }
    : unclear;
}

const isMeaning = (value: Json | undefined): value is DataMeaning =>
  value === "instance" || value === "related" || value === "dependents" || value === "authoredby";

function identifierOf(identifier: Json | undefined): string | undefined {
  if (!isObject(identifier)) return undefined;
  const [system, value] = [textAt(identifier, "system"), textAt(identifier, "value")];
  return system === undefined || value === undefined ? undefined : `${system}|${value}`;
}
