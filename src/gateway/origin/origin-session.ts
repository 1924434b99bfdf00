import type { JsonObject } from "#fhir/json/json";
import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { AttachmentLinks, AttachmentPlace, LinkHolder, OriginQuestion, Origins } from "#fhir/ports";
import { baseNames, localId, type FhirBase } from "#fhir/r4/reference";
import { isStoredAt, leadsBelow, unsignedUrl } from "#fhir/origin";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { CaseReceiver, CaseRequest } from "#gateway/cases/case-receiver";
import type { ArrivedRequest } from "#gateway/question";
import { tracedOrigins } from "#gateway/trace/traced-ports";
import { Discloser, type DisclosureRefusal } from "#phi/disclose";
import type { RowBarrier } from "#fhir/row-barrier";
import type { NamedBases } from "#phi/row-views";
import { Residences } from "#residence/row-residences";
import type { Grant } from "#policy/grant";
import type { RowNeeds } from "#policy/row-needs";
import { clientCertField } from "#identity/certificate/client-cert-field";
import type { Principal } from "#identity/principal";
import {
  ConsentFiling,
  type ConsentFilingPorts,
  type FilingRefusal,
  type ReadAtOrigin,
  type ReadConsent,
  type UnfiledConsents,
  type WrittenConsent,
} from "#gateway/consents/consent-filing";
import type { RowLeases } from "#limits/row-lease";
import type { SharedMemory } from "#limits/shared-memory";
import type { SharedThread } from "#limits/shared-thread";
import { withActors } from "./actors-at-origin.ts";
import { OriginCalls, type OriginCallsSetting, type WholeAnswer } from "./calls.ts";
import type { Answered, OriginRefusal } from "./forward.ts";
import { HeldBytes } from "./held-bytes.ts";
import { NamedPatients } from "./named-patients.ts";
import {
  nothingToResolve,
  type Asking,
  type KnownFacts,
  type LackingRow,
  type RelateRefusal,
  type RowReader,
  type RowsRefusal,
} from "./asking.ts";

export interface OriginSessionSetting extends OriginCallsSetting {
  /** When the request arrived. */
  readonly at: Instant;
  /** Files the Consents that this request writes. */
  readonly consents: Pick<ConsentFiling, "file" | "fileAgain">;
  /** Hears of the requests for amendments that this request writes. */
  readonly cases: { readonly opening: CaseReceiver; readonly request: CaseRequest };
  /** The links of attachments, for the caller. Undefined: attachments keep their URLs. */
  readonly links?: {
    readonly linkTo: (row: string, url: string) => string;
    readonly placeOf: (link: string) => AttachmentPlace | undefined;
  };
}

/**
 * A request, or an entry of its bundle, at its origin: the traffic, the patients whom its record names, and the facts
 * by which its rows are judged.
 */
export class OriginSession extends OriginCalls implements RowReader {
  readonly names: NamedPatients;
  readonly #origins: Origins;
  readonly #setting: OriginSessionSetting;
  #facts: KnownFacts | undefined;
  /** The storage bases of the origin. Undefined: the origin was not asked yet. */
  #storage: readonly string[] | undefined;
  /** The bytes that close a window of the answer; undefined: as for each answer. */
  windowMax: number | undefined;
  /** A row of this session was judged by a relation that had to be asked for. */
  #hasAskedRelation = false;

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
    session.#facts = this.#facts;
    session.#storage = this.#storage;
    return session;
  }

  /** From here on rows are judged by these facts: {@link resolve} comes before each judgement. */
  judgeBy(facts: KnownFacts): void {
    this.#facts = facts;
  }

  /** The facts by which rows are judged; undefined: none was asked for yet. */
  get facts(): KnownFacts | undefined {
    return this.#facts;
  }

  /** Grows when this request files a Consent: rows that were judged before are judged anew. */
  get generation(): number {
    return this.#facts?.generation ?? 0;
  }

  /** No Consent is known any more: the request itself has filed one. */
  judgeAnew(): void {
    this.#facts?.judgeAnew();
  }

  async resolve(rows: readonly LackingRow[]): ReturnType<RowReader["resolve"]> {
    this.#hasAskedRelation ||= rows.some(({ needs }) => (needs?.related?.length ?? 0) > 0);
    return this.#facts?.resolve(rows, this) ?? ok(new Set<number>());
  }

  /** Hears of the requests for amendments among the writes of this request. */
  get cases(): OriginSessionSetting["cases"] {
    return this.#setting.cases;
  }

  /** See {@link KnownFacts.relate}. */
  async relate(
    named: Iterable<string>,
    unnamed: ReadonlySet<string> = new Set(),
  ): Promise<Result<undefined, RelateRefusal>> {
    return this.#facts?.relate(named, unnamed, this) ?? ok(undefined);
  }

  /**
   * Asks for a relation, unless a row has asked: a question of the client costs the same whether there is a row or
   * none, seen or hidden. A relation that cannot be known refuses both alike.
   */
  async coverRelation(): Promise<Result<undefined, RowsRefusal>> {
    if (this.#hasAskedRelation) return ok(undefined);
    this.#hasAskedRelation = true;
    return (await this.#facts?.coverRelation(this)) ?? ok(undefined);
  }

  /** From here on a further question of the client is answered, whose relation is asked for as if it stood alone. */
  beginQuestion(): void {
    this.#hasAskedRelation = false;
  }

  /** {@link resolve} for one row. */
  async know(needsOf: () => RowNeeds | undefined): Promise<Result<undefined, RowsRefusal>> {
    const needs = needsOf();
    const known = needs === undefined ? ok(undefined) : await this.resolve([{ needs, again: needsOf }]);
    return known.ok ? ok(undefined) : known;
  }

  /**
   * Asks a question in the form that this origin can answer, and beside it for the Consents of the patients in the
   * request.
   */
  override async ask(question: OriginQuestion): Promise<Result<Answered, OriginRefusal>> {
    if (this.#storage === undefined) await this.learnStorage();
    if (this.#facts === undefined) return super.ask(question);
    const [answer, isKnown] = await Promise.all([super.ask(question), this.#facts.expected()]);
    if (isKnown) return answer;
    if (answer.ok) await hangUp(answer.value.body);
    return err({ reason: "consents_unavailable" });
  }

  /** Asks in this session's name for the Consents by which its rows are judged. */
  apart(): Asking {
    const ask = (question: OriginQuestion) => super.ask(question);
    const traits = () => this.traits();
    return { ...nothingToResolve, held: new HeldBytes(), barrier: this.barrier, ask, traits };
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
    if (answer.ok) {
      const traits = await this.traits();
      if (traits?.consents === undefined) return answer.value;
      const named = async (consent: ReadConsent) => {
        const [found = consent] = await withActors([consent], this.apart(), this.#setting.at);
        return found;
      };
      return { ...answer.value, withNames: named };
    }
    if (answer.error.reason === "absent") return undefined;
    throw new Error(answer.error.reason);
  };

  /**
   * A resource as it is now, if the caller may see it. Its presence decides the answer, so its patients go
   * on record.
   */
  async standing(
    grant: Grant,
    { body, base }: WholeAnswer,
    type: string,
    id: string,
    bases = this.basesAt(base),
  ): Promise<Result<JsonObject, DisclosureRefusal | RowsRefusal>> {
    const discloser = new Discloser(grant, bases);
    const known = await this.know(() => discloser.needsIn(body));
    if (!known.ok) return known;
    const row = discloser.current(body, type, id);
    if (!row.ok) return row;
    return this.names.concerned.decide(row.value.seen)
      ? ok(row.value.now)
      : err({ reason: "answer_too_large" });
  }

  /** Answers whether the id of a Patient alone leaves to a read. It decides the answer, so the Patient goes on record. */
  standsAsId(grant: Grant, { body, base }: WholeAnswer, id: string): boolean {
    const seen = new Discloser(grant, this.basesAt(base)).seenAsId(body, id);
    return seen !== undefined && this.names.concerned.decide(seen);
  }

  /** The bases by which an answer of the origin is redacted. */
  basesAt(origin: FhirBase): NamedBases {
    const { base, name, names, barrier, windowMax } = this;
    const sealed = (row: string, url: string) => this.#sealed(row, url, origin);
    const isStored = (url: string) => this.mayBeStored(url);
    return { public: base, origin, name, windowMax, residences: names.residences, barrier, sealed, isStored };
  }

  #sealed(row: string, url: string, at: FhirBase): string | undefined {
    const { links } = this.#setting;
    if (links === undefined || (this.binaryAt(url, at) === undefined && !this.isStored(url)))
      return undefined;
    return `${url.startsWith("Binary/") ? "" : `${this.base}/`}Binary/${links.linkTo(row, this.linkedAs(url))}`;
  }

  /** The id of the Binary of this origin that a URL means; a version of a Binary is none. */
  binaryAt(url: string, at: FhirBase): string | undefined {
    const id = localId(url, "Binary", [this.base, ...baseNames(at)]);
    return id !== undefined && url.endsWith(`Binary/${id}`) ? id : undefined;
  }

  /** Comes before {@link isStored}. */
  async learnStorage(): Promise<void> {
    this.#storage ??= (await this.traits())?.storage ?? [];
  }

  /** Answers whether a URL leads below a storage base of the origin. */
  isStored(url: string): boolean {
    return this.#storage?.some((base) => isStoredAt(url, base)) === true;
  }

  /** Answers whether a URL leads to a storage of the origin in any spelling, also one that is not fetched. */
  mayBeStored(url: string): boolean {
    return leadsBelow(url, this.#storage ?? []);
  }

  /** The URL by which a link names the content at a URL. */
  linkedAs(url: string): string {
    return this.isStored(url) ? unsignedUrl(url) : url;
  }

  /** The place to which a link of an attachment leads, for this caller. */
  placeOf(link: string): AttachmentPlace | undefined {
    return this.#setting.links?.placeOf(link);
  }
}

/** All FHIR bases by which a resource of the origin may name a further resource. */
export async function basesOf(origin: Pick<OriginSession, "base" | "traits">): Promise<FhirBase> {
  const traits = await origin.traits();
  return traits?.base === undefined ? origin.base : [origin.base, ...baseNames(traits.base)];
}

async function hangUp(body: Answered["body"]): Promise<void> {
  for await (const _piece of body) break; // leaving the loop hangs up
}

/** The binding of an attachment's link: it opens for no other caller, and its row is judged by the policy of the day. */
export function linkHolder({ client, grant: { origin, purpose }, patient, user }: Principal): LinkHolder {
  return { client: client.id, origin, purpose, patient, user };
}

/** Opens the session of a question. The caller's access to its patients is not known yet. */
export function openOrigin(
  { id, at, trace }: Pick<ArrivedRequest, "id" | "at" | "trace">,
  { who, tlsClientAuth }: { readonly who: Principal; readonly tlsClientAuth: unknown },
  interaction: Interaction,
  ports: ConsentFilingPorts & {
    readonly origins: Origins;
    readonly rowLeases: RowLeases;
    readonly fhirBase: (origin: string) => string;
    readonly attachments: AttachmentLinks;
    readonly memory: SharedMemory;
    readonly thread: SharedThread;
    readonly caseOpening: CaseReceiver;
    readonly onRowFault: (fault: { readonly requestId: string; readonly name: string }) => void;
  },
): OriginSession {
  const { origin: name } = who.grant;
  const { attachments } = ports;
  const holder = linkHolder(who);
  const setting: OriginSessionSetting = {
    name,
    base: ports.fhirBase(name),
    at,
    clientCert: clientCertField(tlsClientAuth, who.certificate),
    client: who.client.id,
    consents: new ConsentFiling(ports, who, name),
    cases: {
      opening: ports.caseOpening,
      request: { requestId: id, at, client: who.client.id, origin: name },
    },
    leases: ports.rowLeases,
    links: {
      linkTo: (row, url) => attachments.linkTo(row, url, holder),
      placeOf: (link) => attachments.placeOf(link, holder),
    },
    onRowFault: (fault) => ports.onRowFault({ requestId: id, name: fault }),
  };
  const charge = (units: number) => ports.thread.charge(who.client.id, units);
  const held = new HeldBytes(ports.memory.claim(who.client.id, charge));
  const session = new OriginSession(
    trace === undefined ? ports.origins : tracedOrigins(ports.origins, trace),
    setting,
    undefined,
    held,
  );
  session.names.nameUnjudged(patientsNamed(interaction));
  return session;
}
