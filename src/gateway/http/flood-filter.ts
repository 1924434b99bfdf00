import { certificateAtEdge } from "#identity/certificate/certificate";
import { type CallCounter, floodRetrySeconds, isBelowFlood } from "#limits/flood";
import { addressOf, tlsClientAuthOf, type EdgeFacts } from "#entrypoint/edge";
import type { RequestHeaders } from "#entrypoint/header-values";
import type { Router } from "#entrypoint/router";
import { outcomeAnswer } from "./answer.ts";
import { letPageRead } from "./page-reads.ts";
import { registeredPage, type BrowserPages } from "./browser-apps.ts";

export interface FloodPorts {
  /**
   * Counts, by network, callers without a token at a FHIR base, and callers without a certificate at all
   * further addresses.
   */
  readonly anonymousCalls: CallCounter;
  /** Counts, by network, callers with a token and without a certificate. */
  readonly unprovenCalls: CallCounter;
  /**
   * Counts, by certificate, callers with a certificate that the edge verified and does not know as revoked.
   */
  readonly provenCalls: CallCounter;
  readonly browserPages: BrowserPages;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  /** Called for each request that is turned away. */
  readonly onFlood?: (door: CountedDoor) => void;
}

type CountedDoor = "fhir" | "oauth" | "well-known" | "readyz";

/**
 * Keeps a flood from signatures, registry and ledger, at every address but `/healthz`. A caller counts by
 * its certificate if the edge verified the certificate and does not know it as revoked; otherwise by its
 * network (/24, /48), because nothing more of the caller is proven. Requests that the filter turns away are
 * not recorded, like requests that the edge turns away: otherwise a flood could fill the ledger.
 */
export function addFloodFilter(router: Router, ports: FloodPorts): void {
  router.on("*", "/v1/fhir/*", async (request, next) => (await turnedAway(callOf(request), ports)) ?? next());
  for (const [path, door] of [
    ["/oauth/*", "oauth"],
    ["/.well-known/*", "well-known"],
    ["/readyz", "readyz"],
  ] as const)
    router.on("*", path, async (request, next) =>
      (await letsIn(callOf(request), door, ports))
        ? next()
        : router.problem(429, "Too Many Requests", { "retry-after": String(floodRetrySeconds) }),
    );
}

/** The parts of a request by which it is counted. */
interface CountedCall extends Pick<EdgeFacts, "tlsClientAuth"> {
  readonly headers: RequestHeaders;
}

const callOf = (raw: Request): CountedCall => ({
  headers: raw.headers,
  tlsClientAuth: tlsClientAuthOf(raw),
});

/** The answer to a call at a FHIR base that the flood filter turns away. */
export async function turnedAway(call: CountedCall, ports: FloodPorts): Promise<Response | undefined> {
  if (await letsIn(call, "fhir", ports)) return undefined;
  const headers = new Headers({ "retry-after": String(floodRetrySeconds) });
  letPageRead(headers, await registeredPage(call.headers, ports.browserPages));
  const face = {
    status: 429,
    code: "throttled",
    text: "Too many requests from this network or with this certificate.",
  } as const;
  return outcomeAnswer(ports.newId(), face, "application/fhir+json", headers);
}

async function letsIn(
  { headers, tlsClientAuth }: CountedCall,
  door: CountedDoor,
  { anonymousCalls, unprovenCalls, provenCalls, onFlood }: FloodPorts,
): Promise<boolean> {
  const certificate = certificateAtEdge(tlsClientAuth);
  const unknown = door === "fhir" && headers.has("authorization") ? unprovenCalls : anonymousCalls;
  const counter = certificate === undefined ? unknown : provenCalls;
  const isBelow = await isBelowFlood(counter, door, { certificate, address: addressOf(headers) });
  if (!isBelow) onFlood?.(door);
  return isBelow;
}
