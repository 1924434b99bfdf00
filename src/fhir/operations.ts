import type { ResourceType } from "#fhir/r4/elements";

interface OperationRow {
  /** The only type that has the operation. `undefined`: every type has it. */
  readonly type: ResourceType | undefined;
  /** Whether the address names a resource, or only its type, or either. */
  readonly on: "instance" | "type" | "both";
  /** Clients post operations by default, also an operation that changes nothing. */
  readonly methods: readonly ("GET" | "POST")[];
  /** Canonical URL of its OperationDefinition. */
  readonly definition: string;
  readonly documentation?: string;
}

/**
 * The supported operations, by the name after `$`. Addresses, policies, capability statements and the BALP
 * export read this table; gateway/record/on-record has the parameters that the record of each names. A
 * request for any further operation is refused by its name.
 */
const table = {
  everything: {
    type: "Patient",
    on: "instance",
    methods: ["GET", "POST"],
    definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
  },
  lastn: {
    type: "Observation",
    on: "type",
    methods: ["GET", "POST"],
    definition: "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
  },
  validate: {
    type: undefined,
    on: "both",
    methods: ["POST"],
    definition: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
  },
  disclosures: {
    type: "Patient",
    on: "instance",
    methods: ["GET"],
    definition: "urn:phylax:operation:Patient-disclosures", // defined by Phylax only
    documentation:
      "GET [base]/Patient/[id]/$disclosures: the accounting of disclosures (45 CFR 164.528), in pages with next links. " +
      "start, end (a date, or a dateTime with its zone; both included), all=true (also disclosures that the law does not require), summed=true (one entry " +
      "for repeated disclosures to one recipient for one purpose; without it each with its proof), recipient, purpose, for=individual, _count, _format.",
  },
  fileConsent: {
    type: "Consent",
    on: "type",
    methods: ["POST"],
    definition: "http://hl7.org/fhir/us/consent-management/OperationDefinition/file-consent",
  },
  revokeConsent: {
    type: "Consent",
    on: "type",
    methods: ["POST"],
    definition: "http://hl7.org/fhir/us/consent-management/OperationDefinition/revoke-consent",
  },
} as const satisfies Readonly<Record<string, OperationRow>>;

export type Operation = keyof typeof table;

export const operationTable: Readonly<Record<Operation, OperationRow>> = table;

export const operationNames = Object.keys(table) as readonly Operation[]; // the keys of a literal

const isOperation = (name: string): name is Operation => Object.hasOwn(table, name);

/** Answers whether a segment names an operation whose query may be posted: it is asked by GET as well. */
export const takesPostedQuery = (segment: string): boolean => {
  const name = segment.slice(1);
  return segment.startsWith("$") && isOperation(name) && operationTable[name].methods.length > 1;
};

/** The operations of a type: its own, then those of every type. */
export const operationsOn = (type: string): readonly Operation[] => [
  ...operationNames.filter((name) => operationTable[name].type === type),
  ...operationNames.filter((name) => operationTable[name].type === undefined),
];

/** The operation at an address. `undefined`: there is none, or it is not supported. */
export function operationAt(
  name: string,
  type: ResourceType | undefined,
  id: string | undefined,
): Operation | undefined {
  if (type === undefined || !isOperation(name)) return undefined;
  const { type: only, on } = operationTable[name];
  const isPlace = on === "both" || (on === "instance") === (id !== undefined);
  return isPlace && (only === undefined || only === type) ? name : undefined;
}
