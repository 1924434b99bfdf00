import type { Hono } from "hono";
import { baseHeaders } from "#gateway/answer/answer";
import { letPageRead } from "#gateway/answer/page-reads";

/** Which web pages any client is registered with. */
export interface BrowserPages {
  /** `page`: an `Origin` as browsers write it. Throws when it cannot be known. */
  has(page: string): Promise<boolean>;
}

export interface BrowserAppPorts {
  readonly browserPages: BrowserPages;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

/** What an app may send beside what every page may: all that this gateway reads. */
const allowed = [
  "Authorization",
  "DPoP",
  "Content-Type",
  "Phylax-Purpose",
  "Signature",
  "Signature-Input",
  "Content-Digest",
  "traceparent",
  "Prefer",
  "If-None-Match",
  "If-Modified-Since",
  "If-Match",
  "If-None-Exist",
].join(", ");

// Browsers ask anew after this; what is taken from the registry meanwhile shows at the answer itself.
const preflightSeconds = 600;

/** The web page that asks, when it is a registered one. One that cannot be looked up is treated as none: its script reads nothing. */
export async function registeredPage(headers: Headers, pages: BrowserPages): Promise<string | undefined> {
  const page = headers.get("origin");
  if (page === null) return undefined;
  try {
    return (await pages.has(page)) ? page : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Answers preflights, which carry no credential, from the set of all registered pages: they tell nothing about any one client, and are in
 * no record. The documents that need no credential are readable for the same pages.
 */
export function addBrowserApps(app: Hono, { browserPages, newId }: BrowserAppPorts): void {
  for (const path of ["/v1/fhir/*", "/.well-known/*"]) {
    app.options(path, async ({ req: { raw } }, next) => {
      if (!raw.headers.has("origin") || !raw.headers.has("access-control-request-method")) return next();
      return preflight(await registeredPage(raw.headers, browserPages), newId());
    });
  }
  for (const path of [
    "/.well-known/*",
    "/v1/fhir/:origin/metadata",
    "/v1/fhir/:origin/.well-known/smart-configuration",
  ]) {
    app.use(path, async (context, next) => {
      const page = await registeredPage(context.req.raw.headers, browserPages);
      await next();
      if (context.req.method === "GET" && !context.req.raw.headers.has("authorization"))
        letPageRead(context.res.headers, page);
    });
  }
}

function preflight(page: string | undefined, requestId: string): Response {
  const headers = baseHeaders(requestId);
  letPageRead(headers, page);
  if (page !== undefined) {
    headers.set("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
    headers.set("access-control-allow-headers", allowed);
    headers.set("access-control-max-age", String(preflightSeconds));
  }
  return new Response(null, { status: 204, headers });
}
