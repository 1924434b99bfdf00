import type { RequestHeaders } from "./header-values.ts";

/** The facts that the edge says about a request; unproven. */
export interface EdgeFacts {
  /** `cf.tlsClientAuth`. */
  readonly tlsClientAuth: unknown;
  /** `cf.continent`: the continent of the caller, such as EU; undefined where the edge does not know it. */
  readonly continent: string | undefined;
}

/** Reads `cf` once: each look at it is a call of the runtime (bench/history.md). */
export function edgeFactsOf(request: Request): EdgeFacts {
  const cf: unknown = Reflect.get(request, "cf");
  if (typeof cf !== "object" || cf === null) return { tlsClientAuth: undefined, continent: undefined };
  const continent: unknown = Reflect.get(cf, "continent");
  return {
    tlsClientAuth: Reflect.get(cf, "tlsClientAuth"),
    continent: typeof continent === "string" ? continent : undefined,
  };
}

/** `cf.tlsClientAuth` of a request as the edge gave it; unproven. */
export const tlsClientAuthOf = (request: Request): unknown => edgeFactsOf(request).tlsClientAuth;

/** The client's address as the edge saw it; empty if the edge did not say it. */
export const addressOf = (headers: Pick<RequestHeaders, "get">): string =>
  headers.get("cf-connecting-ip") ?? "";

/** {@link EdgeFacts.continent} */
export const continentOf = (request: Request): string | undefined => edgeFactsOf(request).continent;
