import { isArray, isObject, objectAt, property, textAt, type Json, type JsonObject } from "#fhir/json/json";
import { isResourceType, r4ResourceTypes, type ResourceType } from "#fhir/r4/elements";
import { parameterName } from "#fhir/r4/names";
import { localId, type FhirBase } from "#fhir/r4/reference";
import { readElementList } from "#fhir/search/element-list";
import { encodedQuery, readQuery } from "#fhir/search/query";
import { primitiveFault } from "#fhir/validate/primitive";
import { err, ok, type Result } from "#kernel/result";

/** The resources that an export is asked of: all, those of a group's patients, or those of all patients. */
export type ExportLevel =
  | { readonly kind: "system" }
  | { readonly kind: "group"; readonly id: string }
  | { readonly kind: "patient" };

/** A kick-off request (FHIR Bulk Data Access 3.0.0, Query Parameters). */
export interface ExportRequest {
  readonly level: ExportLevel;
  /** FHIR instants: the rows that changed after `since` and before `until`. */
  readonly since: string | undefined;
  readonly until: string | undefined;
  /** Empty: every type that the policy lets be searched. */
  readonly types: readonly ResourceType[];
  /** A row of the type leaves if it meets a query of its type, where there is any. `query` can be read by `readQuery`. */
  readonly typeFilters: readonly { readonly type: ResourceType; readonly query: string }[];
  /** Without a type: of each type that has such an element. */
  readonly elements: readonly { readonly type: ResourceType | undefined; readonly path: string }[];
  /** Ids; undefined: every patient of the level. */
  readonly patients: readonly string[] | undefined;
  /** Names of parameters that were ignored under `Prefer: handling=lenient`: the manifest's `error` names them. */
  readonly ignored: readonly string[];
}

export interface ExportRefusal {
  readonly reason:
    | "export_parameter_unknown"
    | "export_parameter_malformed"
    | "export_format_not_supported"
    | "export_type_unknown"
    | "export_patient_not_here";
  /** The name of the parameter; never a value. */
  readonly parameter: string;
}

export type Handling = "strict" | "lenient";

/** Reads the query of a GET. It cannot name patients: a URL is in every log between here and the client. */
export const readExportQuery = (
  query: URLSearchParams,
  level: ExportLevel,
  handling: Handling,
): Result<ExportRequest, ExportRefusal> =>
  readSent(
    [...query].map(([name, text]) => ({ name, text: withPlus(name, text) })),
    { level, handling, base: undefined },
  );

/** Reads the Parameters resource of a POST. @param base the FHIR base that the client calls, for `patient`. */
export function readExportParameters(
  body: JsonObject,
  level: ExportLevel,
  handling: Handling,
  base: FhirBase,
): Result<ExportRequest, ExportRefusal> {
  const list = property(body, "parameter") ?? [];
  const isKnown = Object.keys(body).every((name) => bodyMembers.includes(name));
  if (textAt(body, "resourceType") !== "Parameters" || !isKnown || !isArray(list))
    return err({ reason: "export_parameter_malformed", parameter: "Parameters" });
  const sent = list.map(sentIn);
  return sent.every((each) => each !== undefined)
    ? readSent(sent, { level, handling, base })
    : err({ reason: "export_parameter_malformed", parameter: "Parameters" });
}

const bodyMembers = ["resourceType", "id", "meta", "parameter"];

interface Sent {
  readonly name: string;
  /** Undefined: the value has no type that a parameter of an export has. */
  readonly text: string | undefined;
}

/** A parameter with a single value, and nothing that would have to be passed over. */
function sentIn(parameter: Json): Sent | undefined {
  if (!isObject(parameter)) return undefined;
  const name = textAt(parameter, "name");
  const [member, ...others] = Object.keys(parameter).filter((each) => each !== "name");
  if (name === undefined || member?.startsWith("value") !== true || others.length > 0) return undefined;
  const reference = objectAt(parameter, "valueReference");
  if (name === "patient") return { name, text: reference && textAt(reference, "reference") };
  const value = property(parameter, member);
  return { name, text: typeof value === "boolean" ? String(value) : textAt(parameter, member) };
}

/** No value of these parameters has a blank: a client that does not encode `+` sends a blank. */
const withPlus = (name: string, text: string): string =>
  /^_(?:since|until|outputFormat)$/u.test(name) ? text.replaceAll(" ", "+") : text;

interface Asked {
  readonly level: ExportLevel;
  readonly handling: Handling;
  /** Undefined: the request is a GET. */
  readonly base: FhirBase | undefined;
}

type Part = Partial<Omit<ExportRequest, "level" | "ignored">>;
type Reading = Result<Part, ExportRefusal["reason"]>;

interface ParameterRow {
  /** Each text is a list that commas separate; else there is one text alone. */
  readonly isList: boolean;
  /** A parameter that limits the rows is never ignored: more would leave than the client asked for. */
  readonly limits: boolean;
  readonly read: (texts: readonly string[], asked: Asked) => Reading;
}

const malformed = err("export_parameter_malformed" as const);

/**
 * The supported parameters. `organizeOutputBy` and `includeAssociatedData` are refused as unknown names are. The
 * parameters of the answer's own form (`_format`, `_pretty`) change no export.
 */
const rows: ReadonlyMap<string, ParameterRow> = new Map<string, ParameterRow>([
  ["_outputFormat", { isList: false, limits: true, read: readFormat }],
  ["_since", { isList: false, limits: true, read: ([since]) => instantAs({ since }, since) }],
  ["_until", { isList: false, limits: true, read: ([until]) => instantAs({ until }, until) }],
  ["_type", { isList: true, limits: true, read: readTypes }],
  ["_typeFilter", { isList: true, limits: true, read: readTypeFilters }],
  ["_elements", { isList: true, limits: true, read: readElements }],
  ["patient", { isList: true, limits: true, read: readPatients }],
  ["allowPartialManifests", { isList: false, limits: false, read: readPartial }],
]);

function readSent(sent: readonly Sent[], asked: Asked): Result<ExportRequest, ExportRefusal> {
  const ignored: string[] = [];
  const request: Omit<ExportRequest, "ignored"> = {
    level: asked.level,
    since: undefined,
    until: undefined,
    types: [],
    typeFilters: [],
    elements: [],
    patients: undefined,
  };
  for (const [name, texts] of Map.groupBy(sent, (each) => each.name)) {
    if (/^_(?:format|pretty)$/u.test(name)) continue;
    const row = rows.get(name);
    const part = readParameter(name, row, texts, asked);
    if (part.ok) Object.assign(request, part.value);
    else if (asked.handling === "lenient" && row?.limits !== true && parameterName.test(name))
      ignored.push(name);
    // The text of an unknown name is the client's own, and goes into records.
    else return err({ reason: part.error, parameter: parameterName.test(name) ? name : "Parameters" });
  }
  return ok({ ...request, ignored });
}

function readParameter(
  name: string,
  row: ParameterRow | undefined,
  sent: readonly Sent[],
  asked: Asked,
): Reading {
  if (row === undefined) return err("export_parameter_unknown");
  const texts = sent.flatMap(({ text }) => (row.isList ? partsOf(name, text) : [text]));
  if (texts.includes("") || (!row.isList && texts.length > 1)) return malformed;
  return texts.every((text) => text !== undefined) ? row.read(texts, asked) : malformed;
}

/**
 * 3.0.0 reads a repeated parameter as a list with commas. The values of a search have commas too, so that a
 * list of 2.0.0's queries ends an item before a type alone. An id of a patient has none.
 */
function partsOf(name: string, text: string | undefined): readonly (string | undefined)[] {
  const isQuery = name === "_typeFilter";
  return text?.split(isQuery ? /,(?=[A-Z][A-Za-z]+\?)/u : ",").map((part) => part.trim()) ?? [undefined];
}

function readFormat([text = ""]: readonly string[]): Reading {
  return ["application/fhir+ndjson", "application/ndjson", "ndjson"].includes(text)
    ? ok({})
    : err("export_format_not_supported");
}

const instantAs = (part: Part, text = ""): Reading =>
  primitiveFault("instant", text) === undefined ? ok(part) : malformed;

function readTypes(texts: readonly string[]): Reading {
  const types = [...new Set(texts)];
  return types.every(isResourceType) ? ok({ types }) : err("export_type_unknown");
}

/** Each query has a type alone as its context, and no parameter that shapes a result. */
function readTypeFilters(texts: readonly string[]): Reading {
  const typeFilters: ExportRequest["typeFilters"][number][] = [];
  for (const text of texts) {
    const { type = "", written = "" } = /^(?<type>[A-Za-z]+)\?(?<written>.+)$/u.exec(text)?.groups ?? {};
    if (written === "") return malformed;
    if (!isResourceType(type)) return err("export_type_unknown");
    const query = encodedQuery(written);
    const pairs = readQuery(query);
    if (!pairs.ok || pairs.value.length === 0 || pairs.value.some((pair) => ofResult.test(pair.name)))
      return malformed;
    typeFilters.push({ type, query });
  }
  return ok({ typeFilters });
}

// FHIR R4 §3.1.1.5
const ofResult =
  /^_(?:sort|count|include|revinclude|summary|total|elements|contained|containedType|format|pretty)(?::|$)/u;

/** Elements of the type itself: `Patient.birthDate` or `birthDate`. */
function readElements(texts: readonly string[]): Reading {
  const elements: ExportRequest["elements"][number][] = [];
  for (const text of texts) {
    const parts = text.split(".");
    if (parts.length > 2) return malformed; // an element inside an element, as Patient.name.family
    const [path = "", type] = parts.toReversed();
    if (type !== undefined && !isResourceType(type)) return err("export_type_unknown");
    const isKnown = (of: ResourceType) => readElementList(of, path) !== undefined;
    if (!(type === undefined ? r4ResourceTypes.some(isKnown) : isKnown(type))) return malformed;
    elements.push({ type, path });
  }
  return ok({ elements });
}

function readPatients(texts: readonly string[], { level, base }: Asked): Reading {
  if (level.kind === "system" || base === undefined) return err("export_parameter_unknown");
  const patients = [...new Set(texts.map((text) => localId(text, "Patient", base)))];
  return patients.every((id) => id !== undefined) ? ok({ patients }) : err("export_patient_not_here");
}

/** Either way the manifest is whole: it has at most a file for each type. */
function readPartial([text = ""]: readonly string[]): Reading {
  return /^(?:true|false)$/u.test(text) ? ok({}) : malformed;
}
