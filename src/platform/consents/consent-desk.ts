import { largest } from "#kernel/largest";
import { WorkerEntrypoint } from "cloudflare:workers";
import type { ConsentRules } from "#policy/consent/consent";
import { unreadConsents } from "#policy/consent/unread-consents";
import { instant, type Instant } from "#kernel/clock";
import { keyList } from "#platform/config/key-list-setting";
import type { RegistrySql } from "#platform/registry/registry-sql";
import { revocationsOf, type RevocationsEnv } from "#platform/revocation/object/revocations";
import type { ConsentWriter, DoneChange } from "#platform/revocation/object/store";
import { ConsentNames, type Pseudonyms, writtenName } from "./consent-names.ts";
import {
  claimMilliseconds,
  claimReadings,
  compareReading,
  readingsOf,
  releaseReadings,
  storeReadings,
  type ReadingRow,
  type SubjectReading,
} from "./consent-readings.ts";
import {
  areKeysListed,
  compiledForm,
  consentRecordOf,
  filedVersions,
  presentConsents,
  presentOf,
  withoutNames,
  type ConsentRow,
} from "./consent-rows.ts";

interface ConsentDeskEnv extends RevocationsEnv {
  /** Keys of 32 random bytes in base64url: `NEW OLD …` (docs/keys.md). */
  readonly CONSENT_KEY: string;
}

/** The state of a Consent at its origin. */
export interface ConsentState {
  /** The id of the Consent at the origin. */
  readonly consent: string;
  /** Undefined: the Consent is absent, or is about no patient of the origin. */
  readonly content: { readonly patient: string; readonly rules: ConsentRules } | undefined;
  /** False: only its denials count. */
  readonly mayPermit: boolean;
  /** The client that filed the Consent; undefined for an origin. */
  readonly filedBy: string | undefined;
  /** A reading took the Consent for this patient's, and it may be of a further patient: it stays filed for both. */
  readonly isPatientAssumed?: true | undefined;
  /**
   * Its state at the origin could not be read after this content was written. The denials of the content count beside
   * what is on file, which permits no longer, until the Consent is filed as the origin has it.
   */
  readonly isUnread?: true | undefined;
}

/** A question of an isolate, with its knowledge of the registry. */
export interface ConsentQuestion {
  readonly origin: string;
  readonly patients: readonly string[];
  /**
   * The bookmark of the newest change that the isolate knows; null: only the primary database is known to
   * include it.
   */
  readonly bookmark: string | null;
  /** The isolate knows of a change that is not done: pending changes count too. */
  readonly hasPending: boolean;
}

/** The patients whose Consents must not be older than a period. */
export interface ReadingQuestion {
  readonly origin: string;
  readonly patients: readonly string[];
  readonly everyMilliseconds: number;
}

/** Who reads the Consents of these patients. A patient in neither list is read by a different request now. */
export interface ReadingClaim {
  /** The number of the reading. */
  readonly change: number;
  /** The caller reads the Consents of these patients, and files the reading. */
  readonly claimed: readonly string[];
  /** Patients who were read within the period, with the age of the reading. */
  readonly read: readonly { readonly patient: string; readonly ageMilliseconds: number }[];
}

/** A filed Consent, its form as text. */
export interface ConsentOnFile extends Pick<
  ConsentRow,
  "digest" | "form" | "mayPermit" | "filedBy" | "filedAt"
> {
  /** The pseudonym of the Consent. */
  readonly consent: string;
}

/** The active Consents of a patient, with the pseudonyms by which deltas name the patient. */
export interface ConsentsOnFile {
  readonly subject: string;
  /** The pseudonyms under former keys, while `CONSENT_KEY` is replaced. A `control` before them sends none. */
  readonly formerSubjects?: readonly string[];
  readonly consents: readonly ConsentOnFile[];
}

/**
 * Files the Consents of patients in their compiled form, and answers which are in force. Each method throws when a
 * Consent is filed under a key that `CONSENT_KEY` does not list: its denials would be lost, and its withdrawal.
 */
export class ConsentDesk extends WorkerEntrypoint<ConsentDeskEnv> {
  /**
   * The active Consents of each patient, in the order of the question. Throws when D1 does not answer.
   */
  async of({ origin, patients, bookmark, hasPending }: ConsentQuestion): Promise<readonly ConsentsOnFile[]> {
    const names = this.#names();
    const named = patients.map((patient) => names.allOfPatient(origin, patient));
    // The pending changes come first: a change that ends between the two reads is then in the database.
    const pending = hasPending ? await this.#pending(origin, named.flat()) : undefined;
    const session = this.env.REGISTRY.withSession(bookmark ?? "first-primary");
    await requireListedKeys(session, names);
    const present = await presentConsents(session, named.flat());
    const filed = Map.groupBy(present.rows, ({ subject }) => subject);
    return named.map((subjects, index) => {
      const rows = presentOf(subjects.flatMap((subject) => filed.get(subject) ?? []));
      const isChanging = subjects.some((subject) => pending?.names.has(consentRecordOf({ origin, subject })));
      const changing = isChanging ? (pending?.rows ?? []) : [];
      const all = isChanging
        ? onlyDenials([...rows, ...changing.filter((row) => subjects.includes(row.subject))])
        : rows;
      const [subject, ...formerSubjects] = subjects;
      if (subjects.some((each) => present.tooMany.has(each)))
        return { subject, formerSubjects, consents: [unreadOf(names, origin, patients[index] ?? "")] };
      return {
        subject,
        formerSubjects,
        consents: all.filter(({ isActive }) => isActive).map(onFile),
      };
    });
  }

  /**
   * Announces that these Consents have changed at the origin. Read them there after this call, and file them with
   * the number that it returns: the reading with the higher number is the later of two. Only the denials of
   * the patients count while a change is pending. Throws when D1 does not answer, and when the writer has too many
   * changes pending.
   * @param patients the patients whom they are known to concern.
   * @param writer absent in the call of a gateway before this version.
   */
  async announce(
    origin: string,
    consents: readonly string[],
    patients: readonly string[],
    writer: ConsentWriter = { client: "", authority: "none" },
  ): Promise<number> {
    const { names, session } = await this.#listed();
    const filed = await filedVersions(
      session,
      consents.flatMap((id) => names.allOfConsent(origin, id)),
    );
    const records = [
      ...patients
        .flatMap((patient) => names.allOfPatient(origin, patient))
        .map((subject) => consentRecordOf({ origin, subject })),
      ...filed.map(consentRecordOf),
    ];
    return await revocationsOf(this.env).beginConsents(origin, [...new Set(records)], writer);
  }

  /**
   * Files Consents as they were read, and returns the patients whose Consents changed, by their names in deltas, and
   * the ids of the Consents that had no room.
   * Undefined: the change took too long, and nothing is filed. Throws when D1 does not answer: the change stays
   * pending and is repeated.
   */
  async file(
    change: number,
    origin: string,
    filings: readonly ConsentState[],
  ): Promise<DoneChange | undefined> {
    const names = this.#names();
    // When D1 does not answer, the change is stored and repeated: `announce` has asked for the same keys.
    const isListed = await areKeysListed(
      this.env.REGISTRY.withSession("first-primary"),
      names.keyIds(),
    ).catch(() => true);
    if (!isListed) throw unlistedKey();
    const filedAt = instant(Date.now());
    const former = new FormerNames();
    const allOf = (consent: string) => names.allOfConsent(origin, consent);
    const toFile: ConsentState[] = [];
    const [ended, unread]: [string[], string[]] = [[], []];
    for (const state of filings) {
      const { consent, content, isUnread } = state;
      const asWritten = writtenName(consent);
      for (const name of allOf(asWritten)) if (isUnread !== true) ended.push(name);
      if (isUnread !== true) toFile.push(state);
      else if (content?.rules.isActive === true)
        toFile.push({ ...state, consent: asWritten, mayPermit: false });
      if (isUnread === true || content === undefined)
        for (const name of allOf(consent)) (isUnread === true ? unread : ended).push(name);
    }
    const rows = rowsToFile(origin, toFile, filedAt, names, former);
    const filed = { rows, ended, unread, keyId: names.keyId(), ...former.member() };
    const done = await revocationsOf(this.env).fileConsents(change, filed);
    const refused = new Set(done?.refused);
    const withoutRoom = filings.filter(({ consent }) => refused.has(allOf(consent)[0] ?? ""));
    return done && { ...done, refused: withoutRoom.map(({ consent }) => consent) };
  }

  /**
   * Answers whether the present version of a Consent is this state, filed with no less authority. A Consent that is
   * absent or about no patient is on file as such if no version of it is in force.
   */
  async isOnFile(origin: string, { consent, content, mayPermit }: ConsentState): Promise<boolean> {
    const { names, session } = await this.#listed();
    const asWritten = names.allOfConsent(origin, writtenName(consent));
    const filed = await filedVersions(session, [...names.allOfConsent(origin, consent), ...asWritten]);
    const inForce = filed.filter(({ isActive }) => isActive);
    if (inForce.some((row) => asWritten.includes(row.consent))) return false;
    if (content?.rules.isActive !== true) return inForce.length === 0;
    const subjects = names.allOfPatient(origin, content.patient);
    const { digest } = withoutNames(compiledForm(content.rules));
    const isSame = (row: ConsentRow) =>
      subjects.includes(row.subject) && withoutNames(row).digest === digest && (row.mayPermit || !mayPermit);
    return inForce.length > 0 && inForce.every(isSame);
  }

  /**
   * Decides which of these patients the caller reads at the origin: a patient whose reading is due, and whom no
   * different request reads now. A claim ends after 65 seconds. Throws when D1 does not answer.
   */
  async claimReading({ origin, patients, everyMilliseconds }: ReadingQuestion): Promise<ReadingClaim> {
    const { names, session } = await this.#listed();
    const named = namedPatients(names, origin, patients);
    const known = await readingsOf(
      session,
      [...named.values()].flatMap(({ subjects }) => subjects),
    );
    const at = instant(Date.now());
    const readBefore = instant(at - everyMilliseconds);
    const read: { patient: string; ageMilliseconds: number }[] = [];
    const due: string[] = [];
    for (const [subject, { patient, subjects }] of named) {
      const { readAt, claimedUntil } = lastReading(known, subjects);
      if (readAt > readBefore) read.push({ patient, ageMilliseconds: Math.max(0, at - readAt) });
      else if (claimedUntil <= at) due.push(subject);
    }
    if (due.length === 0) return { change: 0, claimed: [], read };
    // The number comes before the reading: a write that is filed later has a higher number, and counts.
    const change = await revocationsOf(this.env).beginConsents(origin, []);
    const claimed = await claimReadings(session, due, names.keyId(), change, at, readBefore);
    return { change, claimed: claimed.flatMap((subject) => named.get(subject)?.patient ?? []), read };
  }

  /**
   * Files a reading of all Consents of these patients at the origin. Undefined: the origin did not answer, and a
   * different request may read them. Returns the patients whose reading counts; the rest has to be read again.
   * Throws when D1 does not answer.
   */
  async fileReading(
    change: number,
    { origin, patients, everyMilliseconds }: ReadingQuestion,
    found: readonly ConsentState[] | undefined,
  ): Promise<readonly string[]> {
    const names = this.#names();
    const session = this.env.REGISTRY.withSession("first-primary");
    if (found === undefined) {
      await releaseReadings(session, change);
      return [];
    }
    await requireListedKeys(session, names);
    const filedAt = instant(Date.now());
    const former = new FormerNames();
    // A reading has the authority of the origin, and of no client.
    const ofOrigin = found.map((state) => ({ ...state, filedBy: undefined }));
    const atOrigin = rowsToFile(origin, ofOrigin, filedAt, names, former);
    const named = namedPatients(names, origin, patients);
    const claimed = await this.#claimedReadings(session, change, origin, [...named.values()], filedAt);
    const unread = new Set(
      found.flatMap(({ content }) =>
        content?.rules.standsForUnread === true ? [names.allOfPatient(origin, content.patient)[0]] : [],
      ),
    );
    const done = await compareReadings(session, claimed, atOrigin, everyMilliseconds, former, unread);
    for (const { subjects } of claimed) former.note(subjects);
    const rows = done.flatMap((reading) => reading.rows);
    const assumed = new Set(
      found.flatMap(({ consent, isPatientAssumed }) =>
        isPatientAssumed === true ? names.allOfConsent(origin, consent) : [],
      ),
    );
    const shared = rows.flatMap(({ consent, isActive }) =>
      assumed.has(consent) || !isActive ? [consent] : [],
    );
    const ended = found.flatMap(({ consent }) => names.allOfConsent(origin, writtenName(consent)));
    const counted = { rows, ended, shared, keyId: names.keyId(), ...former.member() };
    if ((await revocationsOf(this.env).fileConsents(change, counted)) === undefined)
      throw new Error("the reading took too long");
    await storeReadings(session, change, done);
    if (done.length < patients.length) await releaseReadings(session, change);
    return done.flatMap(({ subject }) => named.get(subject)?.patient ?? []);
  }

  /**
   * The last readings of the patients whose Consents this reading may file: its claim has not ended, and no change
   * of their Consents is pending.
   */
  async #claimedReadings(
    session: RegistrySql,
    change: number,
    origin: string,
    patients: readonly { readonly subjects: Pseudonyms }[],
    at: Instant,
  ): Promise<readonly ClaimedReading[]> {
    const readings = await readingsOf(
      session,
      patients.flatMap(({ subjects }) => subjects),
    );
    // The pending changes come first: a change that ends between the two reads is then in the database.
    const pending = await this.#pending(
      origin,
      patients.flatMap(({ subjects }) => subjects),
    );
    return patients.flatMap(({ subjects }) => {
      const reading = readings.get(subjects[0]);
      const isClaimed = reading?.claim === change && reading.claimedUntil > at;
      const isChanging = subjects.some((name) =>
        pending.names.has(consentRecordOf({ origin, subject: name })),
      );
      if (!isClaimed || isChanging) return [];
      const seen = subjects.flatMap((name) => readings.get(name)?.seen ?? []);
      return [{ subjects, reading: { ...reading, seen } }];
    });
  }

  /** The names of patients and Consents, and a session of the registry. Throws for rows under an unlisted key. */
  async #listed(): Promise<{ readonly names: ConsentNames; readonly session: D1DatabaseSession }> {
    const names = this.#names();
    const session = this.env.REGISTRY.withSession("first-primary");
    await requireListedKeys(session, names);
    return { names, session };
  }

  #names(): ConsentNames {
    return new ConsentNames(keyList("CONSENT_KEY", this.env.CONSENT_KEY));
  }

  /** The pending changes that name these subjects: the changes of others may be long. */
  async #pending(
    origin: string,
    subjects: readonly string[],
  ): Promise<{ names: ReadonlySet<string>; rows: readonly ConsentRow[] }> {
    const asked = subjects.map((subject) => consentRecordOf({ origin, subject }));
    const { names, rows } = await revocationsOf(this.env).pendingConsents(asked);
    return { names: new Set(names), rows };
  }
}

/** Throws when D1 does not answer, and when a Consent is filed under a key that is not listed. */
async function requireListedKeys(session: RegistrySql, names: ConsentNames): Promise<void> {
  if (!(await areKeysListed(session, names.keyIds()))) throw unlistedKey();
}

const unlistedKey = (): Error =>
  new Error("control: Consents are filed under a key that CONSENT_KEY does not list");

/** The patients of a question by their pseudonym under the first key. */
const namedPatients = (names: ConsentNames, origin: string, patients: readonly string[]) =>
  new Map(
    patients.map((patient) => {
      const subjects = names.allOfPatient(origin, patient);
      return [subjects[0], { patient, subjects }];
    }),
  );

/** The times of the last reading of a patient, under whichever key. */
const lastReading = (
  known: ReadonlyMap<string, ReadingRow>,
  subjects: Pseudonyms,
): { readonly readAt: number; readonly claimedUntil: number } => {
  const readings = subjects.flatMap((subject) => known.get(subject) ?? []);
  return {
    readAt: largest(readings.map(({ readAt }) => readAt)),
    claimedUntil: largest(
      readings.map(({ claimedUntil }) => claimedUntil),
      0,
    ),
  };
};

/** The pseudonyms under former keys of what a change files, by the pseudonym under the first key. */
class FormerNames {
  readonly #former = new Map<string, readonly string[]>();

  /** Notes the former pseudonyms, and returns the pseudonym under the first key. */
  note([name, ...former]: Pseudonyms): string {
    if (former.length > 0) this.#former.set(name, former);
    return name;
  }

  allOf(name: string): readonly string[] {
    return [name, ...(this.#former.get(name) ?? [])];
  }

  /** The member of the change; none without a former key. */
  member(): { readonly former?: Readonly<Record<string, readonly string[]>> } {
    return this.#former.size === 0 ? {} : { former: Object.fromEntries(this.#former) };
  }
}

/** The versions of Consents that are about a patient, with the pseudonyms under the first key. */
function rowsToFile(
  origin: string,
  states: readonly ConsentState[],
  filedAt: Instant,
  names: ConsentNames,
  former: FormerNames,
): ConsentRow[] {
  return states.flatMap(({ consent, content, mayPermit, filedBy }): readonly ConsentRow[] => {
    if (content === undefined) return [];
    const row = {
      origin,
      subject: former.note(names.allOfPatient(origin, content.patient)),
      consent: former.note(names.allOfConsent(origin, consent)),
      ...compiledForm(content.rules),
      isActive: content.rules.isActive,
      mayPermit,
      filedBy: filedBy ?? null,
      filedAt,
    };
    return [row];
  });
}

/** The last reading of a patient, and all pseudonyms of the patient. */
interface ClaimedReading {
  readonly subjects: Pseudonyms;
  readonly reading: ReadingRow;
}

/**
 * Compares, for each patient, the Consents at the origin with the versions on file.
 * @param unread patients of whom only the rules are known that stand for their Consents: what is on file stays.
 */
async function compareReadings(
  session: RegistrySql,
  claimed: readonly ClaimedReading[],
  atOrigin: readonly ConsentRow[],
  everyMilliseconds: number,
  former: FormerNames,
  unread: ReadonlySet<string>,
): Promise<readonly SubjectReading[]> {
  const { rows: filed, tooMany } = await presentConsents(
    session,
    claimed.flatMap(({ subjects }) => subjects),
  );
  return claimed.map(({ subjects, reading }) => {
    const { subject } = reading;
    const found = atOrigin.filter((row) => row.subject === subject);
    const namesFound = new Set(found.flatMap(({ consent }) => former.allOf(consent)));
    const isWhole = !unread.has(subject) && !subjects.some((each) => tooMany.has(each));
    const present = presentOf(filed.filter((row) => subjects.includes(row.subject)));
    const compared = compareReading(
      reading,
      found,
      present
        .filter(({ consent }) => isWhole || namesFound.has(consent))
        .map((row) => Object.assign({}, row, { subject })),
      instant(reading.claimedUntil - claimMilliseconds),
      everyMilliseconds,
      (consent) => former.allOf(consent),
    );
    return isWhole ? compared : { ...compared, seen: [...new Set([...reading.seen, ...compared.seen])] };
  });
}

/** A form that stands for the Consents of a patient who has too many on file, as a reading at the origin files it. */
function unreadOf(names: ConsentNames, origin: string, patient: string): ConsentOnFile {
  const [consent] = names.allOfConsent(origin, `${patient}/unread`);
  return { consent, ...compiledForm(unreadConsents), mayPermit: false, filedBy: null, filedAt: instant(0) };
}

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
