import type { PageLinks } from "#fhir/ports";
import { readInteraction } from "#fhir/interaction";
import { pageBinding, sealedPageIn } from "#gateway/admission/page-links";
import { proveStored, type Caller } from "#gateway/admission/caller";
import type { Call } from "#gateway/http/admit";
import type { GatewayRefusal } from "#gateway/outcome";
import { passFurther } from "#gateway/pipeline";
import type { GatewayPorts } from "#gateway/ports";
import type { ArrivedRequest, Question } from "#gateway/question";
import {
  endOfAuthority,
  storableEvidence,
  type StoredAuthority,
  type StoredEvidence,
} from "#identity/authority/authority";
import type { IssuerStandings } from "#identity/authority/issuer-standing";
import { certificateEnd } from "#identity/certificate/certificate";
import type { Principal } from "#identity/principal";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { StoredFile } from "./export-jobs.ts";
import { linesOf } from "./lines.ts";

/** Keeps the authorities of downloads (`control`). */
export interface Authorities {
  make(
    authority: StoredAuthority,
    caller: Caller,
  ): Promise<Result<void, { readonly reason: "too_many_authorities" | "token_denied" | "token_expired" }>>;
  /** The evidence as it was stored. Undefined: the authority has ended. */
  use(id: string): Promise<{ readonly ends: Instant; readonly evidence: StoredEvidence } | undefined>;
  end(client: string, id: string): Promise<void>;
}

export interface DownloadPorts extends GatewayPorts {
  readonly authorities: Authorities;
  readonly issuers: IssuerStandings;
  readonly pages: PageLinks;
  readonly newId: () => string;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** The request for a file, by a caller who was proven. */
export interface FileRequest {
  readonly caller: Caller;
  readonly call: Call;
  readonly request: ArrivedRequest;
  readonly base: string;
}

// A file of 200,000 rows takes minutes at a quick server. A client that reads for longer asks again.
const longestMilliseconds = 6 * 3_600_000;
// The client waits as long for its next line, and a quota or a busy origin may need it.
const patience = { tries: 5, secondsMax: 30 };

/**
 * The lines of a file: the pages of its search, each asked, judged, recorded and released as the client's own search is.
 * So no row rests anywhere, and a withdrawal or a denial counts from the next page on. The pages are asked under a stored
 * authority, since a token lives shorter than a file. The lines throw when a page is refused.
 *
 * @returns a refusal if the first page is refused.
 */
export async function download(
  file: StoredFile,
  asked: FileRequest,
  ports: DownloadPorts,
): Promise<Result<AsyncIterable<Uint8Array>, GatewayRefusal>> {
  const { token, certificate, who } = asked.caller;
  const certificateEnds = certificateEnd(asked.call.tlsClientAuth);
  const shown = { who, token, certificate, certificateEnds: certificate && certificateEnds };
  const evidence = storableEvidence(shown, await ports.issuers.of(token.issuer));
  if (!evidence.ok) return evidence;
  const at = ports.clock();
  const ends = endOfAuthority(at, instant(at + longestMilliseconds), shown.certificateEnds);
  const authority = { id: ports.newId(), ends, evidence: evidence.value };
  const made = await ports.authorities.make(authority, asked.caller);
  if (!made.ok) return made;
  const end = () => ports.authorities.end(who.client.id, authority.id);
  const pages = new FilePages(file, authority.id, asked, ports);
  const first = await pages.next().catch(async (fault: unknown) => {
    await end();
    throw fault;
  });
  if (!first.ok) {
    await end();
    return first;
  }
  return ok(rest(first.value, pages, end));
}

async function* rest(
  first: Uint8Array,
  pages: FilePages,
  end: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    while (pages.hasNext) {
      const page = await pages.next();
      if (!page.ok) throw new Error("a page of an export is refused");
      yield page.value;
    }
  } finally {
    await end();
  }
}

/** The pages of a file, one after the other. */
class FilePages {
  hasNext = true;
  readonly #file: StoredFile;
  readonly #authority: string;
  readonly #asked: FileRequest;
  readonly #ports: DownloadPorts;
  #place: Question["place"];

  constructor(file: StoredFile, authority: string, asked: FileRequest, ports: DownloadPorts) {
    this.#file = file;
    this.#authority = authority;
    this.#asked = asked;
    this.#ports = ports;
  }

  /** The lines of the next page. A page that is refused for a while is asked again. */
  async next(): Promise<Result<Uint8Array, GatewayRefusal>> {
    for (let tries = 1; ; tries += 1) {
      const page = await this.#once();
      if (page.ok || tries === patience.tries || !("retryAfterSeconds" in page.error)) return page;
      if (page.error.retryAfterSeconds > patience.secondsMax) return page;
      await this.#ports.wait(page.error.retryAfterSeconds * 1000);
    }
  }

  async #once(): Promise<Result<Uint8Array, GatewayRefusal>> {
    const { call, request, base } = this.#asked;
    const caller = await this.#callerNow();
    if (!caller.ok) return caller;
    const question = this.#question(base);
    if (!question.ok) return question;
    const own = { ...request, id: this.#ports.newId(), at: this.#ports.clock() };
    const answer = await passFurther(own, call, caller.value, question.value, this.#ports);
    const { outcome } = answer;
    if (outcome.kind === "refused") return err(outcome.refusal);
    if (outcome.kind !== "shown" || outcome.body === undefined) throw new Error("a search without a body");
    const parts: Uint8Array[] = [];
    if (outcome.body instanceof Uint8Array) parts.push(outcome.body);
    else for await (const part of outcome.body) parts.push(part);
    const { lines, next } = linesOf(parts);
    await this.#turnTo(next, caller.value);
    return ok(lines);
  }

  async #callerNow(): ReturnType<typeof proveStored> {
    const { authorities, clients, issuers, clock, newId } = this.#ports;
    const used = await authorities.use(this.#authority);
    if (used === undefined) return err({ reason: "authority_ended" });
    return proveStored({ id: this.#authority, ...used }, newId(), { clients, issuers }, clock());
  }

  #question(base: string): Result<Question, GatewayRefusal> {
    const { type, query } = this.#file;
    const read = readInteraction(
      "GET",
      [type],
      this.#place === undefined ? query : "",
      base,
      this.#place?.question,
    );
    if (!read.ok) return read;
    const interaction =
      read.value.kind === "search" && this.#place !== undefined
        ? { ...read.value, posted: this.#place.posted }
        : read.value;
    return ok({
      interaction,
      place: this.#place,
      content: noContent,
      isBodiless: false,
      isKnown: () => false,
    });
  }

  async #turnTo(next: string | undefined, { who }: Caller): Promise<void> {
    this.hasNext = next !== undefined;
    if (next === undefined) return;
    const page = sealedPageIn(new URL(next).search.slice(1));
    if (page === undefined) throw new Error("an own link has no page");
    const place = await this.#open(page, who);
    if (!place.ok) throw new Error("an own link does not open");
    this.#place = place.value;
  }

  #open({ sealed }: { readonly sealed: string }, who: Principal): ReturnType<PageLinks["open"]> {
    const { pages, clock } = this.#ports;
    return pages.open(sealed, pageBinding(who, this.#file.type), clock());
  }
}

const noContent: Question["content"] = {
  stated: () => null,
  sameRequest: [],
  read: async () => err({ reason: "body_missing" }),
};
