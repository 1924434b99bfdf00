import { idForm, resourceId } from "./names.ts";
import { memo } from "#kernel/memo";
import { isResourceType, type ResourceType } from "./elements.ts";
import { isArray, isObject, textAt, type Json, type JsonObject } from "#fhir/json/json";

/**
 * A FHIR base by its names, each without a trailing slash; requests go to the first. A base with a single
 * name is that name.
 */
export type FhirBase = string | readonly [string, ...string[]];

export const baseNames = (base: FhirBase): readonly [string, ...string[]] =>
  typeof base === "string" ? [base] : base;

/**
 * The path of a text below a FHIR base, for each name of the base that the text is below; the text itself
 * if it is below none.
 */
export function readingsBelow(text: string, base: FhirBase): readonly string[] {
  const below = baseNames(base).flatMap((name) =>
    text.startsWith(`${name}/`) ? [text.slice(name.length + 1)] : [],
  );
  return below.length === 0 ? [text] : below;
}

/** The target of a FHIR reference or URL (FHIR R4 §2.3.0.1). Compared by type and id, never by prefix. */
export type Reference =
  | { readonly kind: "local"; readonly type: ResourceType; readonly id: string }
  /** `#id`: inside the same resource; the empty id is the container itself. */
  | { readonly kind: "fragment"; readonly id: string }
  /** `urn:uuid:…`, `urn:oid:…`. */
  | { readonly kind: "urn" }
  /** An absolute URL outside the base, or a text that is no reference of R4. */
  | { readonly kind: "foreign" };

/**
 * True if the text can be the id of a resource in a path. `.` and `..` fit R4's grammar, but any URL parser
 * on the way would fold them.
 */
export const isId = (text: string): boolean => resourceId.test(text) && !/^\.+$/u.test(text);

const relative = new RegExp(`^(?<type>[A-Za-z]+)/(?<id>${idForm})(?:/_history/(?<version>${idForm}))?$`, "u");

/** The type of a text `Type/id` with an R4 type, if its id has no dot in it. Every reader follows such a text alike. */
export const plainTypeOf = (text: string): ResourceType | undefined => readPlain(text)?.type;

// No base, which is a URL, and no dots: most references are written like this, and this test is the cheapest.
const plain = /^[A-Za-z]+\/[A-Za-z0-9-]{1,64}$/u;

function readPlain(text: string): Extract<Reference, { kind: "local" }> | undefined {
  if (!plain.test(text)) return undefined;
  const slash = text.indexOf("/");
  const type = text.slice(0, slash);
  return isResourceType(type) ? { kind: "local", type, id: text.slice(slash + 1) } : undefined;
}

/** Reads a reference that was found below the given FHIR base. */
export function parseReference(text: string, base: FhirBase): Reference {
  const known = readPlain(text);
  if (known !== undefined) return known;
  if (text.startsWith("#")) return { kind: "fragment", id: text.slice(1) };
  if (text.startsWith("urn:")) return { kind: "urn" };
  // A name may be below a second name: `/fhir/r4` below `/fhir`.
  for (const below of readingsBelow(text, base)) {
    const { type = "", id = "", version } = relative.exec(below)?.groups ?? {};
    // A version is the same resource: `Patient/1/_history/2` names Patient 1.
    if (isResourceType(type) && isId(id) && (version === undefined || isId(version)))
      return { kind: "local", type, id };
  }
  return { kind: "foreign" };
}

/** The patient that a reference means, as generously as any reader might understand it. */
export type Mention =
  | { readonly kind: "patient"; readonly id: string }
  /** A patient with an unknown id: on a foreign server, by identifier, by a search. */
  | { readonly kind: "unidentified" }
  | { readonly kind: "none" };

/**
 * The patient that a Reference means, **for the record only**: a reader may follow a text that is no
 * reference of R4, so the record names more patients than {@link parseReference} knows. Never decides what
 * may be read.
 * @param bases all FHIR bases with patients of this origin: the origin's and the gateway's.
 */
export function mentionOf(reference: JsonObject, bases: readonly FhirBase[]): Mention {
  const text = textAt(reference, "reference") ?? "";
  const id = patientIn(text, bases);
  if (id !== undefined) return { kind: "patient", id };
  const meant =
    /^Patient$|(?:^|[/\\])Patient[/\\?]/iu.test(text.trim()) ||
    /(?:^|\/)Patient$/u.test(textAt(reference, "type") ?? "");
  return { kind: meant ? "unidentified" : "none" };
}

/** The id of the resource of this type that a reference names below the base. */
export function localId(text: string, type: string, base: FhirBase): string | undefined {
  const found = parseReference(text, base);
  return found.kind === "local" && found.type === type ? found.id : undefined;
}

/**
 * The id of the patient of this origin that a text leads to when it is followed, for the record only;
 * {@link mentionOf} for a Reference.
 */
export function patientIn(text: string, bases: readonly FhirBase[]): string | undefined {
  const known = bases.length > 0 ? readPlain(text) : undefined;
  if (known !== undefined) return known.type === "Patient" ? known.id : undefined;
  if (!/patient|%/iu.test(text)) return undefined;
  for (const base of bases.flatMap(baseNames)) {
    const written = parseReference(text, base);
    // The plain text leads to this resource, unless dots lead elsewhere.
    const isPlain = written.kind === "local" && !text.includes("/.");
    const reference = isPlain ? written : parseReference(below(text, base) ?? text, base);
    if (reference.kind === "local") return reference.type === "Patient" ? reference.id : undefined;
  }
  return undefined;
}

/**
 * The patients that any text in a value leads to, at any depth, for the record only. The disclosed part of
 * the value may lead to fewer.
 */
export function patientsNamedIn(
  value: Json,
  bases: readonly FhirBase[],
  found: Set<string> = new Set(),
): ReadonlySet<string> {
  if (typeof value === "string") {
    const patient = patientIn(value, bases);
    if (patient !== undefined) found.add(patient);
  } else if (isArray(value)) for (const item of value) patientsNamedIn(item, bases, found);
  else if (isObject(value)) for (const member of Object.values(value)) patientsNamedIn(member, bases, found);
  return found;
}

/**
 * The path below the base at which a URL parser would end up, for any scheme, default port, case of the
 * host, doubled slash, query or fragment.
 */
function below(text: string, base: string): string | undefined {
  const home = homeOf(base);
  if (home === "nowhere") return undefined;
  const url = URL.parse(text.trim().replace(/^[/\\](?![/\\])/u, ""), home.href);
  if (url === null || !/^https?:$/u.test(url.protocol) || hostOf(url) !== home.host) return undefined;
  const path = pathOf(url);
  return path.startsWith(home.path) ? path.slice(home.path.length).replace(/\/$/u, "") : undefined;
}

interface Home {
  readonly href: string;
  readonly host: string;
  readonly path: string;
}

// 64: the bases of a deployment's origins, and the gateway's base for each.
const homeOf = memo(64, (base): Home | "nowhere" => {
  const url = URL.parse(`${base}/`);
  return url === null ? "nowhere" : { href: url.href, host: hostOf(url), path: pathOf(url) };
});

function pathOf({ pathname }: URL): string {
  const path = pathname.replaceAll(/\/{2,}/gu, "/");
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // a broken escape leads nowhere
  }
}

// The default port of either scheme counts as none: it does not change the named patient.
const hostOf = ({ hostname, port }: URL) =>
  hostname.replace(/\.$/u, "") + (port === "80" || port === "443" ? "" : port && `:${port}`);
