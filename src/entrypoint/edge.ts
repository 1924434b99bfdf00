/** `cf.tlsClientAuth` of a request as the edge gave it; unproven. */
export function tlsClientAuthOf(request: Request): unknown {
  const cf: unknown = Reflect.get(request, "cf");
  return typeof cf === "object" && cf !== null ? Reflect.get(cf, "tlsClientAuth") : undefined;
}

/** The client's address as the edge saw it; empty if the edge did not say it. */
export const addressOf = (headers: Headers): string => headers.get("cf-connecting-ip") ?? "";

/** `cf.continent`: the continent of the caller, such as EU; undefined where the edge does not know it. */
export function continentOf(request: Request): string | undefined {
  const cf: unknown = Reflect.get(request, "cf");
  const continent: unknown = typeof cf === "object" && cf !== null ? Reflect.get(cf, "continent") : undefined;
  return typeof continent === "string" ? continent : undefined;
}
