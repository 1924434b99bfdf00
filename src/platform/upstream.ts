import type { OriginAnswer, OriginBody, OriginFault, OriginQuestion, Origins } from "#fhir/ports";
import type { Clock } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { afterFailure, healthy, restsForSeconds, type OriginHealth } from "./breaker.ts";
import type { BearerSource } from "./origin-tokens.ts";
import { piecesOf } from "./pieces.ts";

/** A registered origin, ready to be called. */
export interface OriginAddress {
  /** FHIR base without a trailing slash. */
  readonly base: string;
  readonly bearer: Secret | BearerSource | undefined;
  /** It is told the certificate of whoever asks. */
  readonly forwardClientCert: boolean;
}

export interface UpstreamOptions {
  readonly find: (origin: string) => Promise<OriginAddress | undefined>;
  /** `host` or `host:port` that may be called at all, by deployment configuration: a registry entry alone opens no way into the network. */
  readonly hosts: ReadonlySet<string>;
  readonly clock: Clock;
}

// Of one question, from asking to the last byte of the answer.
const timeoutMilliseconds = 10_000;

// What says that the server is not there. A 500 or 501 may be one request's own doing, and must not close the origin to everybody else.
const unavailable: ReadonlySet<number> = new Set([502, 503, 504]);

/** Asks the named origins. One retry when the connection failed before an answer began, since a read may be asked twice. */
export function upstream({ find, hosts, clock }: UpstreamOptions): Origins {
  const health = new Map<string, OriginHealth>();
  const note = (origin: string, failed: boolean) =>
    health.set(origin, failed ? afterFailure(health.get(origin) ?? healthy, clock()) : healthy);

  return {
    async ask(origin, question, clientCert) {
      const address = await find(origin);
      if (address === undefined) return undefined;
      const known = health.get(origin) ?? healthy;
      const rest = restsForSeconds(known, clock());
      if (rest > 0) return { kind: "resting", retryAfterSeconds: rest };

      const onEnd = (failed: boolean) => void note(origin, failed);
      const cert = address.forwardClientCert ? clientCert : undefined;
      const asking = () => withBearer(address.bearer, (bearer) => once({ base: address.base, bearer }, question, cert, hosts, onEnd));
      let answer = await asking();
      // No second try for an origin that is failing anyway: retries would double its load at the worst time.
      if (answer.kind === "unreachable" && known.failuresInARow === 0) answer = await asking();
      // How an answer that began does is known at its end.
      if (answer.kind !== "answered")
        note(
          origin,
          answer.kind === "unreachable" || answer.kind === "timed_out" || (answer.kind === "refused" && unavailable.has(answer.status)),
        );
      return answer;
    },
  };
}

/** A token of the origin's token endpoint that it takes no more is asked for anew, once; without any, the origin cannot be asked. */
async function withBearer(
  bearer: OriginAddress["bearer"],
  ask: (bearer: Secret | undefined) => Promise<OriginAnswer>,
): Promise<OriginAnswer> {
  if (bearer === undefined || bearer instanceof Secret) return ask(bearer);
  const held = await bearer.current().catch(() => undefined);
  if (held === undefined) return { kind: "unreachable" };
  const answer = await ask(held);
  if (answer.kind !== "refused" || answer.status !== 401) return answer;
  const other = await bearer.anew().catch(() => held);
  return other === held ? answer : ask(other);
}

async function once(
  { base, bearer }: { readonly base: string; readonly bearer: Secret | undefined },
  question: OriginQuestion,
  clientCert: string | undefined,
  hosts: ReadonlySet<string>,
  onEnd: (failed: boolean) => void,
): Promise<OriginAnswer> {
  const { url, form } = addressOf(base, question);
  if (!hosts.has(url.host) && !hosts.has(url.hostname)) throw new Error("an origin's host is not in ORIGIN_HOSTS");
  // Strict: an origin must not leave out a search parameter that it does not know (FHIR R4 §3.1.1.4.4), for then it answers more.
  const headers = new Headers({ accept: "application/fhir+json", prefer: "handling=strict" });
  if (bearer !== undefined) headers.set("authorization", `Bearer ${bearer.reveal()}`);
  if (clientCert !== undefined) headers.set("client-cert", clientCert); // RFC 9440 §2.2; none of the asker's own headers comes this far
  if (form !== undefined) headers.set("content-type", "application/x-www-form-urlencoded");
  const sending = form === undefined ? { method: "GET" } : { method: "POST", body: form };
  try {
    // Redirects are not followed: an origin could send the question, and its credential, anywhere.
    const response = await fetch(url, { ...sending, headers, redirect: "manual", signal: AbortSignal.timeout(timeoutMilliseconds) });
    if (response.status === 200) return { kind: "answered", body: bodyOf(response, onEnd), base };
    await response.body?.cancel();
    return response.status === 404 || response.status === 410 ? { kind: "absent" } : { kind: "refused", status: response.status };
  } catch (fault) {
    return faultOf(fault);
  }
}

function addressOf(base: string, question: OriginQuestion): { readonly url: URL; readonly form: string | undefined } {
  if ("link" in question) return { url: new URL(base + question.link), form: undefined };
  const { path, query, posted } = question;
  if (posted === true) return { url: new URL(`${base}/${path}/_search`), form: query };
  return { url: new URL(`${base}/${path}${query === "" ? "" : `?${query}`}`), form: undefined };
}

/** What breaks in the middle is said as the last of the body, and counts against the origin. Whoever stops reading hangs up. */
async function* bodyOf({ body }: Response, onEnd: (failed: boolean) => void): OriginBody {
  try {
    for await (const piece of piecesOf(body)) yield ok(piece);
    onEnd(false);
  } catch (fault) {
    onEnd(true);
    yield err(faultOf(fault));
  }
}

const faultOf = (fault: unknown): OriginFault => ({
  kind: fault instanceof Error && fault.name === "TimeoutError" ? "timed_out" : "unreachable",
});
