import type { HttpMethod } from "@medplum/fhir-router";
import { isExactObject, numberOf } from "./exact-json.ts";
import { badRequest, ServerRefusal } from "./refusal.ts";
import type { Stored } from "./stored.ts";
import { field, items, text } from "./values.ts";

export type Pairs = readonly (readonly [string, string])[];

/** The body of a request. */
export type Body =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly value: unknown; readonly type: string; readonly bytes: Buffer }
  | { readonly kind: "form"; readonly pairs: Pairs }
  | { readonly kind: "other"; readonly type: string; readonly bytes: Buffer };

/** One interaction: a request by HTTP, or an entry of a batch or transaction. */
export interface OriginCall {
  readonly method: HttpMethod;
  /** Below the FHIR base, without the query and without a leading slash. */
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Pairs;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: Body;
  /** The id that a transaction gave to the new resource, because another entry refers to it. */
  readonly assignedId?: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** A resource; undefined: the answer has no body. */
  readonly body?: object | undefined;
  /** The stored resource behind the answer: its version, time and place become headers. */
  readonly about?: Stored | undefined;
  /** The content of a Binary, instead of a resource. */
  readonly raw?: {
    readonly type: string;
    readonly bytes: Buffer;
    readonly securityContext?: string | undefined;
  };
}

/**
 * All parameters of a request in order: from its URL, then from its form, or from the Parameters of a posted
 * operation.
 */
export function pairsOf({ query, body }: OriginCall): Pairs {
  if (body.kind === "form") return [...query, ...body.pairs];
  return body.kind === "json" && field(body.value, "resourceType") === "Parameters"
    ? [...query, ...fromParameters(body.value)]
    : query;
}

/** R4 Parameters: one `value[x]` per parameter. */
const fromParameters = (body: unknown): Pairs =>
  items(field(body, "parameter")).map((parameter) => {
    const key = Object.keys(Object(parameter)).find((name) => name.startsWith("value")) ?? "";
    // no parameter here takes more than a primitive
    const value = numberOf(field(parameter, key))?.toString() ?? text(parameter, key) ?? "";
    return [text(parameter, "name") ?? "", value];
  });

/** The resource in the body of a write. */
export function resourceOf({
  body,
}: OriginCall): Record<string, unknown> & { readonly resourceType: string } {
  if (body.kind === "other" || body.kind === "form")
    throw new ServerRefusal(415, "not-supported", "Resources are read as application/fhir+json.");
  const value = body.kind === "none" ? undefined : body.value;
  if (!isExactObject(value) || typeof value["resourceType"] !== "string")
    throw badRequest("The body is no resource.");
  return { ...value, resourceType: value["resourceType"] };
}
