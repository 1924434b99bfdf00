import { err, ok, type Result } from "#kernel/result";
import { isResourceType, type ResourceType } from "#fhir/r4/elements";
import { isId } from "#fhir/r4/reference";

/** The place below the FHIR base that a request addresses (FHIR R4 http §3.1.0.1.2). */
export type Route =
  | { readonly kind: "system" }
  | { readonly kind: "type"; readonly type: ResourceType }
  | { readonly kind: "instance"; readonly type: ResourceType; readonly id: string }
  | { readonly kind: "version"; readonly type: ResourceType; readonly id: string; readonly version: string }
  /** `[type]/_search`; without a type `/_search`. */
  | { readonly kind: "posted"; readonly type: ResourceType | undefined }
  /** `_history` of an instance, of a type, or of the whole system. */
  | { readonly kind: "history"; readonly type: ResourceType | undefined; readonly id: string | undefined }
  /** `Patient/1/Observation`; `*` for every type. `posted`: `Patient/1/Observation/_search`. */
  | {
      readonly kind: "compartment";
      readonly compartment: Compartment;
      readonly id: string;
      readonly type: ResourceType | "*";
      readonly posted: boolean;
    }
  | {
      readonly kind: "operation";
      readonly name: string;
      readonly type: ResourceType | undefined;
      readonly id: string | undefined;
    }
  | { readonly kind: "metadata" };

export type RouteRefusal = {
  readonly reason: "path_unknown" | "resource_type_unknown" | "resource_id_malformed";
};

// CompartmentDefinitions of R4. `Patient/1/*` is a compartment search as well.
const compartments = ["Patient", "Encounter", "RelatedPerson", "Practitioner", "Device"] as const;
export type Compartment = (typeof compartments)[number];

/**
 * Reads raw segments. No percent escape belongs in a FHIR path, so every escape is refused, and an encoded
 * slash or dot is never decoded.
 */
export function readRoute(segments: readonly string[]): Result<Route, RouteRefusal> {
  const [first, second, third, fourth, ...more] = segments;
  if (more.length > 0) return err({ reason: "path_unknown" });
  if (first === undefined) return ok({ kind: "system" });
  if (second === undefined && first === "metadata") return ok({ kind: "metadata" });
  if (second === undefined && first === "_history")
    return ok({ kind: "history", type: undefined, id: undefined });
  if (second === undefined && first === "_search") return ok({ kind: "posted", type: undefined });
  if (second === undefined && isOperation(first))
    return ok({ kind: "operation", name: first.slice(1), type: undefined, id: undefined });
  if (!isResourceType(first))
    return err({ reason: /^[A-Z][A-Za-z]{0,63}$/u.test(first) ? "resource_type_unknown" : "path_unknown" });

  if (second === undefined) return ok({ kind: "type", type: first });
  if (third === undefined && second === "_history")
    return ok({ kind: "history", type: first, id: undefined });
  if (third === undefined && second === "_search") return ok({ kind: "posted", type: first });
  if (third === undefined && isOperation(second))
    return ok({ kind: "operation", name: second.slice(1), type: first, id: undefined });
  if (!isId(second) && !(isContentType(first) && third === undefined && isAttachmentLink(second)))
    return err({ reason: "resource_id_malformed" });
  return third === undefined
    ? ok({ kind: "instance", type: first, id: second })
    : readBelow(first, second, third, fourth);
}

function readBelow(
  type: ResourceType,
  id: string,
  third: string,
  fourth: string | undefined,
): Result<Route, RouteRefusal> {
  if (third === "_history") {
    if (fourth === undefined) return ok({ kind: "history", type, id });
    return isId(fourth)
      ? ok({ kind: "version", type, id, version: fourth })
      : err({ reason: "resource_id_malformed" });
  }
  if (fourth !== undefined && fourth !== "_search") return err({ reason: "path_unknown" });
  const posted = fourth === "_search";
  if (!posted && isOperation(third)) return ok({ kind: "operation", name: third.slice(1), type, id });
  const compartment = compartments.find((name) => name === type);
  return compartment !== undefined && (third === "*" || isResourceType(third))
    ? ok({ kind: "compartment", compartment, id, type: third, posted })
    : err({ reason: "path_unknown" });
}

/** The type whose resources are content of a media type of their own. */
export const isContentType = (type: string | undefined): boolean => type === "Binary";

/** A link in place of an attachment's URL is longer than any id, so that the two are never mistaken for each other. */
export const isAttachmentLink = (segment: string): boolean => /^[\w-]{65,400}$/u.test(segment);

const isOperation = (segment: string) => /^\$[A-Za-z][A-Za-z0-9-]{0,63}$/u.test(segment);
