import type { JsonObject } from "#fhir/json/json";
import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { OriginQuestion, Origins } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { RowBarrier } from "#fhir/row-barrier";
import type { NamedBases } from "#phi/row-views";
import { Residences } from "#residence/row-residences";
import type { Grant } from "#policy/grant";
import { clientCertField } from "#identity/certificate/client-cert-field";
import type { Principal } from "#identity/principal";
import {
  ConsentFiling,
  type ConsentFilingPorts,
  type FilingRefusal,
  type ReadAtOrigin,
  type UnfiledConsents,
  type WrittenConsent,
} from "#gateway/consents/consent-filing";
import { RecordedAnswers } from "#gateway/consents/recorded-answers";
import type { ConsentOfPatient } from "#policy/consent/consent-book";
import type { FollowedLabels } from "./followed-labels.ts";
import type { RequestConsents } from "#gateway/consents/request-consents";

import type { RowLeases } from "#limits/row-lease";
import type { Asking, RowsRefusal } from "./all-rows.ts";
import { OriginCalls, type OriginCallsSetting, type WholeAnswer } from "./calls.ts";
import type { FollowedTargets, Judging } from "./followed-targets.ts";
import { HeldBytes } from "./held-bytes.ts";
import { NamedPatients } from "./named-patients.ts";
import type { Answered, OriginRefusal } from "./forward.ts";

export interface OriginSessionSetting extends OriginCallsSetting {
  /** When the request arrived. */
  readonly at: Instant;
  /** Files the Consents that this request writes. */
  readonly consents: Pick<ConsentFiling, "file" | "fileAgain">;
}

/**
 * A request, or an entry of its bundle, at its origin: the traffic, the patients whom its record names, and the facts
 * by which its rows are judged.
 */
export class OriginSession extends OriginCalls {
  readonly names: NamedPatients;
  readonly #origins: Origins;
  readonly #setting: OriginSessionSetting;
  #consents: RequestConsents | undefined;
  #labels: FollowedLabels | undefined;
  #targets: FollowedTargets | undefined;
  /** The running reading of labels and targets. */
  #following: Promise<Result<undefined, RowsRefusal>> | undefined;
  #reading: RepeatableReading | undefined;

  constructor(
    origins: Origins,
    setting: OriginSessionSetting,
    residences = new Residences(setting.at),
    held?: HeldBytes,
    barrier?: RowBarrier,
  ) {
    super(origins, setting, held, barrier);
    this.names = new NamedPatients(setting.name, residences);
    this.#origins = origins;
    this.#setting = setting;
  }

  /** A session for an entry of a bundle: it has the same origin, and names of its own. */
  forEntry(): OriginSession {
    const { names, held, barrier } = this;
    const session = new OriginSession(this.#origins, this.#setting, names.residences, held, barrier);
    session.#consents = this.#consents;
    session.#targets = this.#targets;
    session.#labels = this.#labels;
    return session;
  }

  /** From here on rows are judged by these Consents: each reading has to be {@link decided}. */
  judgeBy(consents: RequestConsents): void {
    this.#consents = consents;
  }

  /** From here on a Provenance is judged by its targets: each reading has to be {@link decided}. */
  followBy(targets: FollowedTargets): void {
    this.#targets = targets;
  }

  /**
   * From here on a row has the labels of the resources that it refers to: each reading has to be
   * {@link decided}.
   */
  labelBy(labels: FollowedLabels): void {
    this.#labels = labels;
  }

  /** The Consents that let something through; undefined: the origin has no Consent on file. */
  get permittingConsents(): readonly ConsentOfPatient[] | undefined {
    return this.#consents?.areOnFile === true ? this.#consents.book.permitting : undefined;
  }

  /** Answers whether every decision of this request rests on known Consents. */
  get isDecided(): boolean {
    return this.#consents?.book.isProvisional !== true;
  }

  /** Answers whether the Consents that judged the rows of this request are still the same. */
  async consentsStand(): Promise<boolean> {
    return this.#consents === undefined || this.#consents.stand();
  }

  /** Grows when this request files a Consent: rows that were judged before are judged anew. */
  get generation(): number {
    return this.#consents?.generation ?? 0;
  }

  /** Rows are judged by the Consents of now: see {@link RequestConsents.judgeAnew}. */
  judgeAnew(): void {
    this.#consents?.judgeAnew();
  }

  /**
   * Runs a reading until all its decisions rest on known Consents and known targets. A row of a patient whose
   * Consents are not known yet is judged as if there were none; they are asked for before the next question
   * to the origin, and before the reading ends. If a Consent is in force, the reading begins again, with the
   * same answers of the origin and without a trace of the first attempt.
   */
  async decided<T, E>(
    read: () => Promise<Result<T, E>>,
  ): Promise<Result<T, E | RowsRefusal | { readonly reason: "consents_unavailable" }>> {
    const consents = this.#consents;
    if (consents === undefined) return read();
    const { held, names } = this;
    const { concerned } = names;
    const answers: RepeatableReading["answers"] = new RecordedAnswers();
    try {
      for (;;) {
        names.concerned = concerned.copy();
        for (const row of this.#targets?.seen ?? []) names.concerned.decide(row);
        this.held = new HeldBytes(held);
        const revision = this.#revisionOf(consents);
        this.#reading = { answers, revision };
        const result = await read();
        if (!(await consents.learn())) return err({ reason: "consents_unavailable" });
        if (revision === this.#revisionOf(consents)) {
          const followed = await this.#follow(consents);
          if (!followed.ok && revision === this.#revisionOf(consents)) return followed;
        }
        if (revision === this.#revisionOf(consents)) return result;
        this.held.giveAll();
        answers.rewind();
      }
    } finally {
      this.held = held;
      this.#reading = undefined;
    }
  }

  /** Answers whether rows are judged by the resources that they refer to. */
  get follows(): boolean {
    return this.#labels !== undefined || this.#targets !== undefined;
  }

  /** Grows when a row refers to more resources than the request follows: the row is not judged by them. */
  get unfollowed(): number {
    return (this.#labels?.book.unfollowed ?? 0) + (this.#targets?.book.unfollowed ?? 0);
  }

  #revisionOf(consents: RequestConsents): number {
    return consents.book.revision + (this.#targets?.book.revision ?? 0) + (this.#labels?.book.revision ?? 0);
  }

  /**
   * Reads the labels and targets that rows of the reading refer to, so that the rows can be judged. A second
   * question of the reading awaits the first: it may rest on the same rows.
   */
  async #follow(consents: RequestConsents): Promise<Result<undefined, RowsRefusal>> {
    while (this.#following !== undefined) await this.#following;
    const following = this.#learnReferred(consents);
    this.#following = following;
    try {
      return await following;
    } finally {
      this.#following = undefined;
    }
  }

  async #learnReferred(consents: RequestConsents): Promise<Result<undefined, RowsRefusal>> {
    const [targets, labels] = [this.#targets, this.#labels];
    const hasLabels = labels !== undefined && labels.book.unknown.size > 0;
    const hasTargets = targets !== undefined && targets.book.unknown.size > 0;
    if (!hasLabels && !hasTargets) return ok(undefined);
    const origin: Judging = {
      ask: (question) => this.#ask(question, async () => ok(undefined)),
      held: this.held,
      barrier: this.barrier,
      basesAt: (base) => this.basesAt(base),
    };
    const labelled = hasLabels ? await labels.learn(origin) : ok(undefined);
    if (!labelled.ok || !hasTargets) return labelled;
    const revision = this.#revisionOf(consents);
    return targets.learn(origin, async () => {
      if (!(await consents.learn())) return ok(false);
      // A target has the labels of the resources that it refers to, which may not be known yet.
      const known = labels === undefined ? ok(undefined) : await labels.learn(origin);
      return known.ok ? ok(revision === this.#revisionOf(consents)) : known;
    });
  }

  /** Asks a question in the form that this origin can answer. */
  override ask(asked: OriginQuestion): Promise<Result<Answered, OriginRefusal>> {
    return this.#ask(asked, (consents) => this.#follow(consents));
  }

  /** @param follow reads what the rows so far refer to, before the question leaves. */
  async #ask(
    asked: OriginQuestion,
    follow: (consents: RequestConsents) => Promise<Result<undefined, RowsRefusal>>,
  ): Promise<Result<Answered, OriginRefusal>> {
    const [consents, reading] = [this.#consents, this.#reading];
    const ask = () => super.ask(asked);
    if (consents === undefined || reading === undefined) return ask();
    // No question may follow from a decision that is not final: it would reveal hidden rows.
    if (consents.book.isProvisional && !(await consents.learn()))
      return err({ reason: "consents_unavailable" });
    const followed = await follow(consents);
    if (!followed.ok) return err(repeatedReading);
    if (reading.revision !== this.#revisionOf(consents)) return err(repeatedReading);
    const [answer, isKnown] = await Promise.all([reading.answers.ask(asked, ask), consents.learn()]);
    if (isKnown) return answer;
    if (answer.ok) await hangUp(answer.value.body);
    return err({ reason: "consents_unavailable" });
  }

  /** Asks in this session's name for the Consents by which its rows are judged. */
  apart(): Asking {
    return {
      held: new HeldBytes(),
      barrier: this.barrier,
      ask: (asked) => super.ask(asked),
    };
  }

  /**
   * Files Consents that the origin has written, as it has them now. Rows are judged by them from here on: by the
   * earlier Consents the filing of the request itself would end its answer.
   */
  async fileConsents(written: readonly WrittenConsent[]): Promise<Result<undefined, UnfiledConsents>> {
    const filed = await this.#setting.consents.file(written, this.base, this.#readConsent);
    this.judgeAnew();
    return filed;
  }

  /** Files a Consent of an earlier request, unless it is on file. See {@link fileConsents}. */
  async fileConsentAgain(written: WrittenConsent): Promise<Result<undefined, FilingRefusal>> {
    const filed = await this.#setting.consents.fileAgain(written, this.base, this.#readConsent);
    if (filed.ok && filed.value === "on file") return ok(undefined);
    this.judgeAnew();
    return filed.ok ? ok(undefined) : filed;
  }

  readonly #readConsent: ReadAtOrigin = async (id) => {
    const answer = await this.read({ path: `Consent/${id}`, query: "" });
    if (answer.ok) return answer.value;
    if (answer.error.reason === "absent") return undefined;
    throw new Error(answer.error.reason);
  };

  /**
   * A resource as it is now, if the caller may see it. Its presence decides the answer, so its patients go
   * on record.
   */
  standing(
    grant: Grant,
    { body, base }: WholeAnswer,
    type: string,
    id: string,
  ): Result<JsonObject, DisclosureRefusal> {
    const discloser = new Discloser(grant, this.basesAt(base));
    const now = discloser.current(body, type, id);
    const row = now.ok ? discloser.seen(now.value) : undefined;
    if (row !== undefined && !this.names.concerned.decide(row)) return err({ reason: "answer_too_large" });
    return now;
  }

  /** The bases by which an answer of the origin is redacted. */
  basesAt(origin: FhirBase): NamedBases {
    const { base, name, names, barrier } = this;
    return { public: base, origin, name, residences: names.residences, barrier };
  }
}

/** A reading that may be repeated. */
interface RepeatableReading {
  readonly answers: RecordedAnswers<Answered, OriginRefusal>;
  /** Of the book, when the reading began. */
  readonly revision: number;
}

/** The reading is repeated, so its result is not used: any refusal ends it. */
const repeatedReading: OriginRefusal = { reason: "origin_unreachable" };

async function hangUp(body: Answered["body"]): Promise<void> {
  for await (const _piece of body) break; // leaving the loop hangs up
}

/** Opens the session of a parsed request. The caller's access to its patients is not known yet. */
export function openOrigin(
  call: {
    readonly id: string;
    readonly origin: string;
    readonly at: Instant;
    readonly tlsClientAuth: unknown;
  },
  who: Principal,
  interaction: Interaction,
  ports: ConsentFilingPorts & {
    readonly origins: Origins;
    readonly rowLeases: RowLeases;
    readonly fhirBase: (origin: string) => string;
    readonly onRowFault: (fault: { readonly requestId: string; readonly name: string }) => void;
  },
): OriginSession {
  const session = new OriginSession(ports.origins, {
    name: call.origin,
    base: ports.fhirBase(call.origin),
    at: call.at,
    clientCert: clientCertField(call.tlsClientAuth, who.certificate),
    client: who.client.id,
    consents: new ConsentFiling(ports, who, call.origin),
    leases: ports.rowLeases,
    onRowFault: (name) => ports.onRowFault({ requestId: call.id, name }),
  });
  session.names.nameUnjudged(patientsNamed(interaction));
  return session;
}
