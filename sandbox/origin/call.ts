import type { HttpMethod } from "@medplum/fhir-router";
import { isObject, numberOf } from "./exact-json.ts";
import { badRequest, OriginRefusal } from "./refusal.ts";
import type { Stored } from "./stored.ts";
import { field, items, text } from "./values.ts";

export type Pairs = readonly (readonly [string, string])[];

/** What came with a request. */
export type Body =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly value: unknown; readonly type: string; readonly bytes: Buffer }
  | { readonly kind: "form"; readonly pairs: Pairs }
  | { readonly kind: "other"; readonly type: string; readonly bytes: Buffer };

/** One interaction: a request by HTTP, or an entry of a batch or transaction. */
export interface Call {
  readonly method: HttpMethod;
  /** Below the FHIR base, without the query and without a leading slash. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Pairs;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Body;
  /** The id that a transaction gave to what is created, since other entries refer to it. */
  readonly assignedId?: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** A resource; none: no body. */
  readonly body?: object | undefined;
  /** The stored resource that the answer is about: its version, time and place are told in headers. */
  readonly about?: Stored | undefined;
  /** The content of a Binary, instead of a resource. */
  readonly raw?: {
    readonly type: string;
    readonly bytes: Buffer;
    readonly securityContext?: string | undefined;
  };
}

/** All parameters of a request in order: of its URL, then of its form, or of the Parameters that an operation is posted with. */
export function pairsOf({ query, body }: Call): Pairs {
  if (body.kind === "form") return [...query, ...body.pairs];
  return body.kind === "json" && field(body.value, "resourceType") === "Parameters"
    ? [...query, ...fromParameters(body.value)]
    : query;
}

/** R4 Parameters: one `value[x]` each. */
const fromParameters = (body: unknown): Pairs =>
  items(field(body, "parameter")).map((parameter) => {
    const key = Object.keys(Object(parameter)).find((name) => name.startsWith("value")) ?? "";
    const value = numberOf(field(parameter, key))?.toString() ?? text(parameter, key) ?? ""; // no parameter here takes more than a primitive
    return [text(parameter, "name") ?? "", value];
  });

/** The resource that a write brings. */
export function resourceOf({ body }: Call): Record<string, unknown> & { readonly resourceType: string } {
  if (body.kind === "other" || body.kind === "form")
    throw new OriginRefusal(415, "not-supported", "Resources are read as application/fhir+json.");
  const value = body.kind === "none" ? undefined : body.value;
  if (!isObject(value) || typeof value["resourceType"] !== "string")
    throw badRequest("The body is no resource.");
  return { ...value, resourceType: value["resourceType"] };
}
