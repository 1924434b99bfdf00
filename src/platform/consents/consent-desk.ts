import { createHash } from "node:crypto";
import { WorkerEntrypoint } from "cloudflare:workers";
import type { ConsentRules } from "#policy/consent/consent";
import { storedFormOf } from "#policy/consent/stored-form";
import { instant } from "#kernel/clock";
import type { RecordName } from "#registry/revocation";
import { key32 } from "#platform/config/gateway-config";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";
import { ConsentNames } from "./consent-names.ts";
import { presentConsents, type ConsentRow } from "./consent-rows.ts";

interface ConsentDeskEnv extends RevocationsEnv {
  /** 32 random bytes in base64url. */
  readonly CONSENT_KEY: string;
}

/** A version of a Consent to file. */
export interface ConsentFiling {
  /** The id of the patient at the origin. */
  readonly patient: string;
  /** The id of the Consent at the origin. */
  readonly consent: string;
  readonly rules: ConsentRules;
  /** False: only its denials count. */
  readonly mayPermit: boolean;
  /** The client that filed it; undefined for an origin. */
  readonly filedBy: string | undefined;
}

/** What an isolate knows of the registry when it asks. */
export interface ConsentQuestion {
  readonly origin: string;
  readonly patients: readonly string[];
  /** Of the newest change that the isolate knows; null: only the primary database is known to include it. */
  readonly bookmark: string | null;
  /** The isolate knows of a change that is not done: pending changes count too. */
  readonly hasPending: boolean;
}

/** A filed Consent, its form as text. */
export interface ConsentOnFile extends Pick<
  ConsentRow,
  "digest" | "form" | "mayPermit" | "filedBy" | "filedAt"
> {
  /** The pseudonym of the Consent. */
  readonly consent: string;
}

/** The active Consents of a patient, with the pseudonym by which deltas name the patient. */
export interface ConsentsOnFile {
  readonly subject: string;
  readonly consents: readonly ConsentOnFile[];
}

/** Files the Consents of patients in their compiled form, and answers which are in force. */
export class ConsentDesk extends WorkerEntrypoint<ConsentDeskEnv> {
  /** The active Consents of each patient, in the order of the question. Throws when D1 does not answer. */
  async of({ origin, patients, bookmark, hasPending }: ConsentQuestion): Promise<readonly ConsentsOnFile[]> {
    const names = this.#names();
    const subjects = patients.map((patient) => names.ofPatient(origin, patient));
    // first: a change that ends between the two reads is then in the database
    const pending = hasPending ? await this.#pending() : undefined;
    const session = this.env.REGISTRY.withSession(bookmark ?? "first-primary");
    const filed = Map.groupBy(await presentConsents(session, subjects), ({ subject }) => subject);
    return subjects.map((subject) => {
      const rows = filed.get(subject) ?? [];
      const isChanging = pending?.names.has(recordOf(origin, subject)) === true;
      const all = isChanging
        ? onlyDenials([...rows, ...pending.rows.filter((row) => row.subject === subject)])
        : rows;
      return { subject, consents: all.filter(({ isActive }) => isActive).map(onFile) };
    });
  }

  /**
   * Announces that the Consents of these patients are about to change, or have changed at the origin. Read them
   * at the origin after this call, and file them with the number that it returns: of two readings the reading
   * with the higher number is the later. While a change is pending only the denials of these patients count.
   */
  async begin(origin: string, patients: readonly string[]): Promise<number> {
    const names = this.#names();
    const records = patients.map((patient) => recordOf(origin, names.ofPatient(origin, patient)));
    return await revocationsOf(this.env).beginConsents(origin, [...new Set(records)]);
  }

  /**
   * Files the Consents of a change, and returns the digest of each. Undefined: the change took too long, and
   * nothing is filed. Throws when D1 does not answer: the change stays pending and is repeated.
   */
  async file(
    change: number,
    origin: string,
    filings: readonly ConsentFiling[],
  ): Promise<readonly string[] | undefined> {
    const names = this.#names();
    const filedAt = instant(Date.now());
    const rows = filings.map(({ patient, consent, rules, mayPermit, filedBy }): ConsentRow => {
      const form = storedFormOf(rules);
      return {
        origin,
        subject: names.ofPatient(origin, patient),
        consent: names.ofConsent(origin, consent),
        digest: createHash("sha256").update(form).digest("hex"),
        form,
        isActive: rules.isActive,
        mayPermit,
        filedBy: filedBy ?? null,
        filedAt,
      };
    });
    const done = await revocationsOf(this.env).fileConsents(change, rows);
    return done ? rows.map(({ digest }) => digest) : undefined;
  }

  /** Ends a change that was announced: nothing has changed. */
  async giveUp(change: number): Promise<void> {
    await revocationsOf(this.env).giveUpConsents(change);
  }

  #names(): ConsentNames {
    return new ConsentNames(key32("CONSENT_KEY", this.env.CONSENT_KEY));
  }

  async #pending(): Promise<{ names: ReadonlySet<string>; rows: readonly ConsentRow[] }> {
    const { names, rows } = await revocationsOf(this.env).pendingConsents();
    return { names: new Set(names), rows };
  }
}

const recordOf = (origin: string, subject: string): RecordName => `consent/${origin}/${subject}`;

/** The old version and the new version of a Consent both deny, and neither permits. */
const onlyDenials = (rows: readonly ConsentRow[]): readonly ConsentRow[] =>
  rows.map((row) => ({ ...row, mayPermit: false }));

const onFile = ({ consent, digest, form, mayPermit, filedBy, filedAt }: ConsentRow): ConsentOnFile => ({
  consent,
  digest,
  form,
  mayPermit,
  filedBy,
  filedAt,
});
