import { WorkerEntrypoint } from "cloudflare:workers";
import type * as z from "zod";
import type { Holder, HoldersRequest } from "#audit/accounting/holders";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { keyList } from "#platform/config/key-list-setting";
import { ConsentDesk } from "#platform/consents/consent-desk";
import { ConsentNames } from "#platform/consents/consent-names";
import type { ConsentRules, Statement } from "#policy/consent/consent";
import {
  caseAcceptance,
  caseConfirmation,
  caseDenial,
  caseExtension,
  caseListing,
  caseOpening,
  caseStatement,
  caseUnstatement,
  caseVoiding,
  holdersSearch,
  noticeNaming,
  noticeSending,
  noticeWaiving,
  type CaseProblem,
  type ListedCase,
} from "#registry/case-document";
import { dueDays, isOver } from "#registry/cases/case-days";
import {
  changeCase,
  confirmCase,
  listCases,
  openCase,
  openInformedCase,
  receiveCases,
  settleCases,
  settledMilliseconds,
  statementName,
  voidCase,
  type CaseReceipt,
  type CaseRow,
} from "./case-rows.ts";
import { addNotices, endNotice, noticesOf, type NoticeRow } from "./case-notices.ts";
import { CaseStatement } from "./case-statements.ts";

interface CaseOpeningEnv {
  readonly REGISTRY: D1Database;
}
type CaseDeskEnv = ConstructorParameters<typeof ConsentDesk>[1];

/** A case with the last day to act on it. */
export type DueCase = Omit<CaseRow, "disagreements"> & {
  readonly disagreements: ListedCase["disagreements"];
  readonly due: string;
  /** The pseudonyms by which records name the statement of a denied case (audit/consent-set). */
  readonly statementAs: readonly string[];
  /** Present if the case was named by id. */
  readonly notices?: readonly NoticeRow[];
};

/** The gateway's only right over cases: to open them, and to say how the writes ended. */
export class CaseOpening extends WorkerEntrypoint<CaseOpeningEnv> {
  async open(
    receipt: CaseReceipt,
    writes: Parameters<typeof receiveCases>[2],
  ): ReturnType<typeof receiveCases> {
    return await receiveCases(this.env.REGISTRY, receipt, writes);
  }

  /** An older gateway calls it. That gateway reads no answer, and sends nothing after a throw. */
  async receive(...asked: Parameters<CaseOpening["open"]>): Promise<void> {
    if ((await this.open(...asked)) !== undefined) throw new Error("too many open cases");
  }

  async settle(receipt: CaseReceipt, writes: Parameters<typeof settleCases>[2]): Promise<void> {
    await settleCases(this.env.REGISTRY, receipt, writes);
  }
}

/** The privacy officer's tasks: a request for an amendment stays open until it is accepted or denied. */
export class CaseDesk extends WorkerEntrypoint<CaseDeskEnv> {
  /** Lists a page of the open cases, of the decided cases, of all, or a case. */
  async list(document: unknown): Promise<Result<readonly DueCase[], CaseProblem>> {
    const read = caseListing.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { state, case: id, after } = read.data;
    const rows = await listCases(this.env.REGISTRY, { state, id, after });
    const names = new ConsentNames(keyList("CONSENT_KEY", this.env.CONSENT_KEY));
    const notices = id === undefined ? undefined : await noticesOf(this.env.REGISTRY, id);
    return ok(rows.map((row) => Object.assign(withDue(row, names), notices && { notices })));
  }

  /** Says where the request of an unconfirmed case is stored. */
  async confirm(document: unknown): Promise<Result<void, CaseProblem>> {
    const read = caseConfirmation.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const isDone = await confirmCase(
      this.env.REGISTRY,
      read.data.case,
      read.data.request,
      instant(Date.now()),
    );
    return isDone ? ok(undefined) : refused("case_not_unconfirmed");
  }

  /** Opens a case for a notice of another entity about its amendment (164.526(e)), once. */
  async open(
    document: unknown,
    operator: string,
    requestId: string,
  ): Promise<Result<{ readonly case: string }, CaseProblem>> {
    const read = caseOpening.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { origin, patient, notice, from, rows } = read.data;
    const isRegistered =
      (await this.env.REGISTRY.prepare("SELECT 1 FROM origins WHERE name = ?").bind(origin).first()) !== null;
    if (!isRegistered) return err({ reason: "case_malformed", field: "origin" });
    const id = await openInformedCase(this.env.REGISTRY, {
      origin,
      patient,
      receivedAt: instant(Date.now()),
      requestId,
      client: operator,
      resource: notice,
      informedBy: from,
      disputed: rows,
    });
    return id === undefined ? err({ reason: "case_known", field: "notice" }) : ok({ case: id });
  }

  /**
   * Ends a case without an answer: an unconfirmed case whose request is not stored, until the request is stored after all, or
   * a notice of another entity about nothing held.
   */
  async void(document: unknown): Promise<Result<void, CaseProblem>> {
    const read = caseVoiding.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const isDone = await voidCase(this.env.REGISTRY, read.data.case, instant(Date.now()));
    return isDone ? ok(undefined) : refused("case_not_unconfirmed");
  }

  /** Extends the time of an open case, once, within the first sixty days. */
  async extend(document: unknown, operator: string): Promise<Result<{ readonly due: string }, CaseProblem>> {
    const read = caseExtension.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { case: id, letter } = read.data;
    const [open, now] = [await openCase(this.env.REGISTRY, id), instant(Date.now())];
    if (open === undefined) return refused("case_not_open");
    if (open.informedBy !== null) return refused("case_informed");
    if (open.extendedAt !== null) return refused("case_extended");
    if (isOver(dueDays(open.receivedAt, false).extend, now)) return refused("case_time_over");
    const step = { extendedAt: now, extendedBy: operator, extensionLetter: letter };
    return (await changeCase(this.env.REGISTRY, id, step))
      ? ok({ due: dueDays(open.receivedAt, true).act })
      : refused("case_extended");
  }

  /** Ends an open case whose amendment the gateway has seen: a Provenance names the request. */
  async accept(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = caseAcceptance.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    return await this.#decide(read.data.case, operator, { decision: "accepted" });
  }

  /** Ends an open case by a denial. A denial of a part needs the amendment of the rest. */
  async deny(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = caseDenial.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { case: id, grounds, partly, letter } = read.data;
    const decision = partly ? "partly-denied" : "denied";
    return await this.#decide(id, operator, { decision, reasons: grounds, denialLetter: letter });
  }

  /**
   * Files the statement that follows each later disclosure of the disputed rows of a denied case, once, beside the
   * Consents of the patient: every isolate knows it within ten seconds.
   */
  async state(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = caseStatement.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { case: id, kind, elements, summary, statement: disagreement, rebuttal, denial } = read.data;
    const [found] = await listCases(this.env.REGISTRY, { state: "all", id });
    if (found === undefined || found.denialLetter === null) return refused("case_not_denied");
    if (found.statedAt !== null) return refused("case_stated");
    const rows = read.data.rows.length > 0 ? read.data.rows : (found.disputed ?? []);
    if (rows.length === 0) return refused("case_rows_unnamed");
    const messages = {
      statement: disagreement,
      request: disagreement ? undefined : found.resource,
      denial,
      rebuttal,
    };
    const statement: Statement = {
      kind,
      rows,
      ...(elements && { elements }),
      ...(summary !== undefined && { summary }),
      messages: Object.entries(messages).flatMap(([role, reference]) =>
        reference ? [{ role, reference }] : [],
      ),
    };
    const clock = () => instant(Date.now());
    const done = await this.#statementOf(id, operator).state(statement, operator, clock);
    return done ? ok(undefined) : refused("case_stated");
  }

  /** Withdraws the statement of a denied case, filed or unfinished: the case can be stated anew. */
  async unstate(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = caseUnstatement.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const { case: id } = read.data;
    const [found] = await listCases(this.env.REGISTRY, { state: "all", id });
    if (found === undefined || found.denialLetter === null) return refused("case_not_denied");
    await this.#statementOf(id, operator).unstate(); // a crash may have left a filed statement of which the case knows nothing
    return ok(undefined);
  }

  /** Writes the question for the accounting of an accepted case. */
  async holdersSought(
    document: unknown,
  ): Promise<Result<Omit<HoldersRequest, "caller"> & Pick<CaseRow, "amendedBy">, CaseProblem>> {
    const read = await this.#accepted(holdersSearch, document);
    if (!read.ok) return read;
    const { origin, patient, amendedAt, amendedBy, amendedRows, disputed } = read.value.found;
    const types = (amendedRows ?? disputed ?? []).map((row) => row.slice(0, row.indexOf("/")));
    return ok({
      patient: `${origin}/${patient}`,
      united: read.value.patients.map((each) => `${origin}/${each}`),
      to: instant((amendedAt ?? 0) + settledMilliseconds), // a read that began before the write ended has the old row
      types: [...new Set(types)],
      amendedBy,
    });
  }

  /** Stores an open notice for each holder. A stored notice stays unchanged. */
  async addHolders(
    document: unknown,
    holders: readonly Holder[],
    operator: string,
  ): Promise<Result<readonly NoticeRow[], CaseProblem>> {
    const read = await this.#accepted(holdersSearch, document);
    if (!read.ok) return read;
    const noted = { caseId: read.value.case, notedAt: instant(Date.now()), notedBy: operator };
    const notices = holders.map((holder) => Object.assign({ kind: "holder" as const }, noted, holder));
    return ok(await addNotices(this.env.REGISTRY, notices));
  }

  /** Stores an open notice to a person whom the individual names. */
  async nameNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = await this.#accepted(noticeNaming, document);
    if (!read.ok) return read;
    const { case: caseId, recipient } = read.value;
    const noted = { notedAt: instant(Date.now()), notedBy: operator };
    await addNotices(this.env.REGISTRY, [{ caseId, kind: "person", recipient, ...noted }]);
    return ok(undefined);
  }

  /** Ends an open notice once, as sent. */
  async sendNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = noticeSending.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    return await this.#endNotice(read.data, { letter: read.data.letter }, operator);
  }

  /** Ends an open notice once, as not needed. */
  async waiveNotice(document: unknown, operator: string): Promise<Result<void, CaseProblem>> {
    const read = noticeWaiving.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    return await this.#endNotice(read.data, { reason: read.data.why }, operator);
  }

  async #endNotice(
    { case: caseId, kind, recipient }: Omit<z.infer<typeof noticeSending>, "letter">,
    end: Partial<Pick<NoticeRow, "letter" | "reason">>,
    operator: string,
  ): Promise<Result<void, CaseProblem>> {
    const ended = { ...end, endedAt: instant(Date.now()), endedBy: operator };
    const isDone = await endNotice(this.env.REGISTRY, { caseId, kind, recipient }, ended);
    return isDone ? ok(undefined) : refused("notice_not_open");
  }

  /** Reads a document about a case with an accepted part. */
  async #accepted<Document extends { readonly case: string }>(
    form: z.ZodType<Document>,
    document: unknown,
  ): Promise<Result<Document & { readonly found: CaseRow }, CaseProblem>> {
    const read = form.safeParse(document);
    if (!read.success) return err(problemOf(read.error));
    const [found] = await listCases(this.env.REGISTRY, { state: "decided", id: read.data.case });
    const isAccepted = found?.decision === "accepted" || found?.decision === "partly-denied";
    return found !== undefined && isAccepted ? ok({ ...read.data, found }) : refused("case_not_accepted");
  }

  #statementOf(id: string, operator: string): CaseStatement {
    return new CaseStatement(this.env.REGISTRY, id, (found, rules) => this.#file(found, rules, operator));
  }

  /** Files what stands for the statement of a case beside the Consents of its patient. */
  async #file({ id, origin, patient }: CaseRow, rules: ConsentRules, operator: string): Promise<void> {
    const desk = new ConsentDesk(this.ctx, this.env);
    const [consent, patientId] = [statementName(id), patient.slice("Patient/".length)];
    const writer = { client: operator, authority: "registrar" } as const;
    const change = await desk.announce(origin, [consent], [patientId], writer);
    const content = { patient: patientId, rules };
    const filing = { consent, content, mayPermit: false, filedBy: undefined };
    const filed = await desk.file(change, origin, [filing]);
    if (filed === undefined) throw new Error("control: the statement took too long");
  }

  async #decide(
    id: string,
    operator: string,
    step: Pick<CaseRow, "decision"> & Partial<Pick<CaseRow, "reasons" | "denialLetter">>,
  ): Promise<Result<void, CaseProblem>> {
    const decided = { ...step, decidedAt: instant(Date.now()), decidedBy: operator };
    if (await changeCase(this.env.REGISTRY, id, decided)) return ok(undefined);
    const open = await openCase(this.env.REGISTRY, id);
    if (open === undefined) return refused("case_not_open");
    return refused(
      open.informedBy !== null && step.decision !== "accepted" ? "case_informed" : "case_not_amended",
    );
  }
}

const withDue = (row: CaseRow, names: ConsentNames): DueCase => ({
  ...row,
  disagreements: Object.entries(row.disagreements ?? {}).map(([write, { at, resource }]) => ({
    at,
    requestId: write.slice(0, write.indexOf("/")),
    resource,
  })),
  due: dueDays(row.receivedAt, row.extendedAt !== null).act,
  statementAs: row.denialLetter === null ? [] : names.allOfConsent(row.origin, statementName(row.id)),
});

const refused = <R extends Extract<CaseProblem, { field: "case" }>["reason"]>(reason: R) =>
  err({ reason, field: "case" } as const);

const problemOf = (error: z.ZodError): CaseProblem => ({
  reason: "case_malformed",
  field: String(error.issues[0]?.path[0] ?? ""),
});
