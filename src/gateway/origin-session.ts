import type { OriginQuestion, Origins, OriginWrite, OriginWritten } from "#fhir/ports";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { NamedBases } from "#phi/disclose";
import { Residences } from "#phi/residences";
import { forward, readWhole, type Answered, type OriginRefusal } from "./forward.ts";

export interface OriginSessionScene {
  /** Name of the origin in the registry. */
  readonly name: string;
  /** FHIR base that the client calls. */
  readonly base: string;
  /** When the request arrived. */
  readonly at: Instant;
  /** The verified certificate of the connection, as RFC 9440 writes it: for an origin that is to be told. */
  readonly clientCert: string | undefined;
}

/** One resource of an origin's, whole. */
export interface WholeAnswer {
  readonly body: Uint8Array;
  /** FHIR base of the origin that answered. */
  readonly base: string;
}

/**
 * One request's dealings with its origin: every question of the request and every byte of the answers pass here. The session holds what
 * the answers say of where patients live, for the record of the request.
 */
export class OriginSession {
  readonly name: string;
  readonly base: string;
  readonly residences: Residences;
  readonly #origins: Pick<Origins, "ask" | "send">;
  readonly #clientCert: string | undefined;

  constructor(origins: Pick<Origins, "ask" | "send">, { name, base, at, clientCert }: OriginSessionScene) {
    this.name = name;
    this.base = base;
    this.residences = new Residences(at);
    this.#origins = origins;
    this.#clientCert = clientCert;
  }

  ask(question: OriginQuestion): Promise<Result<Answered, OriginRefusal>> {
    return forward(this.#origins, this.name, question, this.#clientCert);
  }

  /** The whole body of an answer that is one resource. */
  async read(question: OriginQuestion): Promise<Result<WholeAnswer, OriginRefusal>> {
    const answer = await this.ask(question);
    if (!answer.ok) return answer;
    const body = await readWhole(answer.value.body);
    return body.ok ? ok({ body: body.value, base: answer.value.base }) : body;
  }

  /** Sends a write, once. */
  send(write: OriginWrite): Promise<OriginWritten | undefined> {
    return this.#origins.send(this.name, write, this.#clientCert);
  }

  /** What an answer from this base of the origin's is cut with. */
  basesAt(origin: string): NamedBases {
    return { public: this.base, origin, name: this.name, residences: this.residences };
  }
}
