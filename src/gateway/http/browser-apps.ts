import { baseHeaders } from "#entrypoint/base-headers";
import type { RequestHeaders } from "#entrypoint/header-values";
import type { Router } from "#entrypoint/router";
import { httpVerbs } from "#fhir/http-verb";
import { letPageRead } from "./page-reads.ts";

/** Knows the web pages of all registered clients. */
export interface BrowserPages {
  /** `page`: an `Origin` as browsers write it. Throws when it cannot be known. */
  has(page: string): Promise<boolean>;
}

export interface BrowserAppPorts {
  readonly browserPages: BrowserPages;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

/** The headers that an app may send: all headers that this gateway reads. */
const allowed = [
  "Authorization",
  "DPoP",
  "Content-Type",
  "Phylax-Purpose",
  "Phylax-Justification",
  "Signature",
  "Signature-Input",
  "Content-Digest",
  "traceparent",
  "Prefer",
  "If-None-Match",
  "If-Modified-Since",
  "If-Match",
  "Idempotency-Key",
  "If-None-Exist",
  "X-Security-Context",
  "X-Medplum",
].join(", ");

// Browsers ask again after this time. A page that is deleted from the registry meanwhile cannot read the
// answer itself.
const preflightSeconds = 600;

/** The page that asks, if it is registered. If the look-up fails, the script of the page reads nothing. */
export async function registeredPage(
  headers: Pick<RequestHeaders, "get">,
  pages: BrowserPages,
): Promise<string | undefined> {
  const page = headers.get("origin");
  if (page === null) return undefined;
  try {
    return (await pages.has(page)) ? page : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Answers preflights from the set of all registered pages. A preflight has no credential, reveals nothing
 * about a single client, and is not recorded. Any page may read the documents that need no credential.
 */
export function addBrowserApps(router: Router, { browserPages, newId }: BrowserAppPorts): void {
  for (const path of ["/v1/fhir/*", "/.well-known/*", "/oauth/jwks"]) {
    router.on("OPTIONS", path, async ({ headers, url }, next) => {
      if (!headers.has("origin") || !headers.has("access-control-request-method")) return next();
      const page = await registeredPage(headers, browserPages);
      return page === undefined && isPublic.test(new URL(url).pathname)
        ? publicPreflight(newId())
        : preflight(page, newId());
    });
  }
  for (const path of [
    "/.well-known/*",
    "/oauth/jwks",
    "/v1/fhir/:name/metadata",
    "/v1/fhir/:name/.well-known/smart-configuration",
  ]) {
    router.on("*", path, async ({ method, headers }, next) => {
      const page = await registeredPage(headers, browserPages);
      const answer = await next();
      if (method !== "GET" || headers.has("authorization")) return answer;
      letPageRead(answer.headers, page);
      // Every page may read a public document (SMART App Launch 2.2, "Using Well-Known": CORS), as every
      // program may.
      if (page === undefined) answer.headers.set("access-control-allow-origin", "*");
      return answer;
    });
  }
}

/** The documents that need no credential. */
const isPublic =
  /^\/(?:\.well-known\/|oauth\/jwks$|v1\/fhir\/[^/]+\/(?:metadata|\.well-known\/smart-configuration)$)/u;

/** Every page may read a public document, and no page may send a credential with the question. */
function publicPreflight(requestId: string): Response {
  const headers = baseHeaders(requestId);
  headers.set("access-control-allow-origin", "*");
  headers.set("access-control-allow-methods", "GET, HEAD");
  headers.set("access-control-allow-headers", "Accept, Content-Type");
  headers.set("access-control-max-age", String(preflightSeconds));
  return new Response(null, { status: 204, headers });
}

function preflight(page: string | undefined, requestId: string): Response {
  const headers = baseHeaders(requestId);
  letPageRead(headers, page);
  if (page !== undefined) {
    headers.set("access-control-allow-methods", httpVerbs.join(", "));
    headers.set("access-control-allow-headers", allowed);
    headers.set("access-control-max-age", String(preflightSeconds));
  }
  return new Response(null, { status: 204, headers });
}
