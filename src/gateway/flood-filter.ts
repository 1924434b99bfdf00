import type { Hono } from "hono";
import { addressPrefix } from "#ledger/shard-choice";
import { baseHeaders, outcomeAnswer } from "./answer.ts";
import { letPageRead, registeredPage, type BrowserPages } from "./browser-apps.ts";

/** Counts calls by a key, roughly and in one place only: a flood shows, a quota is not to be had from it. */
export interface CallCounter {
  /** `success: false`: more than its limit came with this key of late. */
  limit(options: { readonly key: string }): Promise<{ readonly success: boolean }>;
}

export interface FloodPorts {
  /** Of callers that bring nothing to a FHIR base, and of all at the issuer that have no verified certificate. */
  readonly anonymousCalls: CallCounter;
  /** Of callers that bring a token over no verified certificate. */
  readonly unprovenCalls: CallCounter;
  readonly browserPages: BrowserPages;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

const retryAfterSeconds = "60"; // the counters' period (wrangler.toml)

/**
 * Keeps a flood from signatures, registry and ledger: by the network that it comes from (/24, /48), since nothing else of it is proven.
 * Whoever holds a certificate that the edge verified is known and is not counted. What it turns away is in no record, like what the edge
 * turns away itself: a flood could fill the ledger otherwise. It only spares work, so when it does not answer everybody is let in.
 */
export function addFloodFilter(app: Hono, ports: FloodPorts): void {
  app.use("/v1/fhir/*", async ({ req: { raw } }, next) => {
    const counter = raw.headers.has("authorization") ? ports.unprovenCalls : ports.anonymousCalls;
    if (await letsIn(raw, counter, "fhir")) return next();
    const headers = new Headers({ "retry-after": retryAfterSeconds });
    letPageRead(headers, await registeredPage(raw.headers, ports.browserPages));
    const face = { status: 429, code: "throttled", text: "Too many requests from this network." } as const;
    return outcomeAnswer(ports.newId(), face, "application/fhir+json", headers);
  });
  app.use("/oauth/*", async ({ req: { raw } }, next) => {
    if (raw.method !== "POST" || (await letsIn(raw, ports.anonymousCalls, "oauth"))) return next();
    const id = ports.newId();
    const headers = baseHeaders(id);
    headers.set("content-type", "application/problem+json");
    headers.set("retry-after", retryAfterSeconds);
    const body = { type: "about:blank", title: "Too Many Requests", status: 429, instance: `urn:phylax:request:${id}` };
    return new Response(JSON.stringify(body), { status: 429, headers });
  });
}

async function letsIn(raw: Request, counter: CallCounter, door: string): Promise<boolean> {
  if (hasVerifiedCertificate(raw)) return true;
  try {
    return (await counter.limit({ key: `${door} ${addressPrefix(raw.headers.get("cf-connecting-ip") ?? "")}` })).success;
  } catch {
    return true;
  }
}

/** Of the edge's word alone; whose it is, and whether it was revoked, is judged later. */
function hasVerifiedCertificate(raw: Request): boolean {
  const cf: unknown = Reflect.get(raw, "cf");
  const tls: unknown = typeof cf === "object" && cf !== null ? Reflect.get(cf, "tlsClientAuth") : undefined;
  return typeof tls === "object" && tls !== null && Reflect.get(tls, "certVerified") === "SUCCESS";
}
