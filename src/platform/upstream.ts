import type { OriginAnswer, OriginQuestion, Origins } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { afterFailure, healthy, restsForSeconds, type OriginHealth } from "./breaker.ts";

/** A registered origin, ready to be called. */
export interface OriginAddress {
  /** FHIR base without a trailing slash. */
  readonly base: string;
  readonly bearer: Secret | undefined;
}

export interface UpstreamOptions {
  readonly find: (origin: string) => Promise<OriginAddress | undefined>;
  /** `host` or `host:port` that may be called at all, by deployment configuration: a registry entry alone opens no way into the network. */
  readonly hosts: ReadonlySet<string>;
  readonly clock: Clock;
}

// The plain engine holds text, tree and output at once: about ten times the body, of an isolate's 128 MB.
const bodyBytesMax = 1_048_576;
const timeoutMilliseconds = 10_000;

// What says that the server is not there. A 500 or 501 may be one request's own doing, and must not close the origin to everybody else.
const unavailable: ReadonlySet<number> = new Set([502, 503, 504]);

/** Asks the named origins. One retry when the connection failed before an answer began, since a read may be asked twice. */
export function upstream({ find, hosts, clock }: UpstreamOptions): Origins {
  const health = new Map<string, OriginHealth>();

  return {
    async ask(origin, question) {
      const address = await find(origin);
      if (address === undefined) return undefined;
      const known = health.get(origin) ?? healthy;
      const rest = restsForSeconds(known, clock());
      if (rest > 0) return { kind: "resting", retryAfterSeconds: rest };

      let answer = await once(address, question, hosts);
      // No second try for an origin that is failing anyway: retries would double its load at the worst time.
      if (answer.kind === "unreachable" && known.failuresInARow === 0) answer = await once(address, question, hosts);
      const failed =
        answer.kind === "unreachable" || answer.kind === "timed_out" || (answer.kind === "refused" && unavailable.has(answer.status));
      health.set(origin, failed ? afterFailure(health.get(origin) ?? healthy, clock()) : healthy);
      return answer;
    },
  };
}

async function once({ base, bearer }: OriginAddress, { path, query }: OriginQuestion, hosts: ReadonlySet<string>): Promise<OriginAnswer> {
  const url = new URL(`${base}/${path}${query === "" ? "" : `?${query}`}`);
  if (!hosts.has(url.host) && !hosts.has(url.hostname)) throw new Error("an origin's host is not in ORIGIN_HOSTS");
  // Strict: an origin must not leave out a search parameter that it does not know (FHIR R4 §3.1.1.4.4), for then it answers more.
  const headers = new Headers({ accept: "application/fhir+json", prefer: "handling=strict" });
  if (bearer !== undefined) headers.set("authorization", `Bearer ${bearer.reveal()}`);
  try {
    // Redirects are not followed: an origin could send the question, and its credential, anywhere.
    const response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMilliseconds) });
    if (response.status === 200) return await read(response, base);
    await response.body?.cancel();
    return response.status === 404 || response.status === 410 ? { kind: "absent" } : { kind: "refused", status: response.status };
  } catch (fault) {
    return { kind: fault instanceof Error && fault.name === "TimeoutError" ? "timed_out" : "unreachable" };
  }
}

/** Reads at most the limit: Content-Length may lie or be missing, so the bytes themselves are counted. */
async function read(response: Response, base: string): Promise<OriginAnswer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > bodyBytesMax) return { kind: "too_large", bytesMax: bodyBytesMax }; // leaving the loop cancels the stream
    chunks.push(chunk);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return { kind: "answered", body, base };
}
