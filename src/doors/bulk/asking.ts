import type { Caller } from "#gateway/admission/caller";
import { proveStored } from "#gateway/admission/caller";
import type { Interaction } from "#fhir/interaction";
import type { Call } from "#gateway/http/admit";
import type { GatewayRefusal } from "#gateway/outcome";
import { passFurther, refuseFurther } from "#gateway/pipeline";
import type { GatewayPorts } from "#gateway/ports";
import type { ArrivedRequest, Question } from "#gateway/question";
import {
  endOfAuthority,
  storableEvidence,
  type StoredAuthority,
  type StoredEvidence,
} from "#identity/authority/authority";
import type { AuthorityTask } from "#identity/authority/authority-document";
import type { IssuerStandings } from "#identity/authority/issuer-standing";
import { certificateEnd } from "#identity/certificate/certificate";
import type { Principal } from "#identity/principal";
import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";

/** Keeps the authorities of exports and bundles (`control`). */
export interface Authorities {
  make(
    authority: StoredAuthority,
    caller: Caller,
    task: AuthorityTask,
  ): Promise<Result<void, { readonly reason: "too_many_authorities" | "token_denied" | "token_expired" }>>;
  /** The evidence as it was stored. Undefined: the authority has ended. */
  use(id: string): Promise<{ readonly ends: Instant; readonly evidence: StoredEvidence } | undefined>;
  end(client: string, id: string): Promise<void>;
}

export interface AskingPorts extends GatewayPorts {
  readonly authorities: Authorities;
  readonly issuers: IssuerStandings;
  readonly newId: () => string;
  readonly wait: (milliseconds: number) => Promise<void>;
}

/** A request of a caller who was proven. */
export interface ProvenRequest {
  readonly caller: Caller;
  readonly call: Call;
  readonly request: ArrivedRequest;
}

/** An answer of the core that is on record, and its asker at that moment. */
export interface AskedAnswer {
  /** Each is on record when it comes. Throws if a denial ends the answer. */
  readonly parts: AsyncIterable<Uint8Array> | readonly Uint8Array[];
  readonly who: Principal;
}

// A file of 200,000 rows takes minutes at a quick server. A client that reads for longer asks again.
const longestMilliseconds = 2 * 3_600_000;
// The client waits as long for its next line. A quota counts minutes, and the circuit of a dead origin seconds. No wait
// is as long as a silent claim of memory stands (limits/shared-memory).
const patience = { secondsMax: 60, secondsInAll: 240 };
const fault = { reason: "fault", retryAfterSeconds: 2 } as const;

/**
 * Asks the core questions for a caller, under a stored authority that lives as long as the asking: a token lives
 * shorter than a file. The core judges and records each question as it does the client's own.
 */
export class ExportAsking {
  readonly #authority: string;
  readonly #asked: ProvenRequest;
  readonly #isWanted: (waitsFor?: string) => Promise<boolean>;
  readonly #ports: AskingPorts;

  private constructor(
    authority: string,
    asked: ProvenRequest,
    isWanted: (waitsFor?: string) => Promise<boolean>,
    ports: AskingPorts,
  ) {
    this.#authority = authority;
    this.#asked = asked;
    this.#isWanted = isWanted;
    this.#ports = ports;
  }

  /**
   * Makes the authority. Call {@link end} when nothing more is asked. A refusal is on record.
   *
   * @param until nothing is asked after this time.
   * @param isWanted false: nothing more is asked. `waitsFor`: the reason for which the next question waits.
   */
  static async begin(
    asked: ProvenRequest,
    until: Instant,
    ports: AskingPorts,
    isWanted: (waitsFor?: string) => Promise<boolean> = async () => true,
  ): Promise<Result<ExportAsking, GatewayRefusal>> {
    const { call, caller, request } = asked;
    const own = { ...request, id: ports.newId() };
    const made = await orFault(own.id, ports, () => makeAuthority(asked, "export", until, ports));
    if (made.ok) return ok(new ExportAsking(made.value, asked, isWanted, ports));
    await refuseFurther(own, call, caller, made.error, ports);
    return made;
  }

  /** An answer with resources. */
  ask(interaction: Interaction): Promise<Result<AskedAnswer, GatewayRefusal>> {
    return this.#once(interaction, undefined);
  }

  /**
   * As {@link ask}, at a place. A question that is refused for a while, or meets a fault, is asked again.
   *
   * @param makeRoom takes the memory that the answer needs, before each try. It throws without room.
   */
  async askPatiently(
    interaction: Interaction,
    place: Question["place"],
    makeRoom: () => void,
  ): Promise<Result<AskedAnswer, GatewayRefusal>> {
    const { newId, wait } = this.#ports;
    for (let [tries, waited] = [1, 0]; ; tries += 1) {
      // A fault that comes here has no record: the ledger is behind, or no question was asked.
      const answer = await orFault(newId(), this.#ports, async () => {
        makeRoom();
        return this.#once(interaction, place);
      });
      if (answer.ok || !("retryAfterSeconds" in answer.error)) return answer;
      const { retryAfterSeconds, reason } = answer.error;
      const seconds = Math.max(retryAfterSeconds, Math.min(2 ** tries, patience.secondsMax));
      waited += seconds;
      if (seconds > patience.secondsMax || waited > patience.secondsInAll) return answer;
      // a note for the list: when it is lost, the file goes on
      await this.#isWanted(reason).catch(() => undefined);
      await wait(seconds * 1000);
    }
  }

  end(): Promise<void> {
    return this.#ports.authorities.end(this.#asked.caller.who.client.id, this.#authority);
  }

  async #once(
    interaction: Interaction,
    place: Question["place"],
  ): Promise<Result<AskedAnswer, GatewayRefusal>> {
    const { call, request } = this.#asked;
    const own = { ...request, id: this.#ports.newId(), at: this.#ports.clock() };
    const caller = await orFault(own.id, this.#ports, () => this.#callerNow());
    if (!caller.ok) {
      await refuseFurther(own, call, this.#asked.caller, caller.error, this.#ports);
      return caller;
    }
    const question = { interaction, place, content: noContent, isBodiless: false, isKnown: () => false };
    const { outcome } = await passFurther(own, call, caller.value, question, this.#ports);
    if (outcome.kind === "refused") return err(outcome.refusal);
    if (outcome.kind !== "shown" || outcome.body === undefined) throw new Error("an answer without a body");
    const { body } = outcome;
    return ok({ parts: body instanceof Uint8Array ? [body] : body, who: caller.value.who });
  }

  async #callerNow(): ReturnType<typeof proveStored> {
    const { authorities, clients, issuers, clock, newId } = this.#ports;
    const [used, isWanted] = await Promise.all([authorities.use(this.#authority), this.#isWanted()]);
    if (used === undefined || !isWanted) return err({ reason: "authority_ended" });
    const { tlsClientAuth } = this.#asked.call;
    return proveStored(
      { id: this.#authority, ...used },
      newId(),
      { clients, issuers },
      clock(),
      tlsClientAuth,
    );
  }
}

/** Makes an authority of a proven caller, at most two hours long; returns its id. */
export async function makeAuthority(
  { caller, call }: ProvenRequest,
  task: AuthorityTask,
  until: Instant,
  ports: AskingPorts,
): Promise<Result<string, GatewayRefusal>> {
  const { token, certificate, who } = caller;
  const certificateEnds = certificate && certificateEnd(call.tlsClientAuth);
  const shown = { who, token, certificate, certificateEnds };
  const evidence = storableEvidence(shown, await ports.issuers.of(token.issuer));
  if (!evidence.ok) return evidence;
  const at = ports.clock();
  const longest = instant(Math.min(until, at + longestMilliseconds));
  const id = ports.newId();
  const ends = endOfAuthority(at, longest, certificateEnds);
  const made = await ports.authorities.make({ id, ends, evidence: evidence.value }, caller, task);
  return made.ok ? ok(id) : made;
}

/** The answer of a part that may fail: its fault is a refusal, which can go on record. */
async function orFault<T>(
  requestId: string,
  { onFault }: AskingPorts,
  answer: () => Promise<Result<T, GatewayRefusal>>,
): Promise<Result<T, GatewayRefusal>> {
  try {
    return await answer();
  } catch (thrown) {
    onFault({ requestId, name: thrown instanceof Error ? thrown.name : "unknown" });
    return err(fault);
  }
}

const noContent: Question["content"] = {
  stated: () => null,
  sameRequest: [],
  read: async () => err({ reason: "body_missing" }),
};
