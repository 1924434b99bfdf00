import { ageAt, instant, type Clock, type Instant } from "#kernel/clock";
import { inTime } from "#platform/deadlines";
import type { ConsentState, ReadingClaim, ReadingQuestion } from "./consent-desk.ts";
import type { IsolateConsents } from "./isolate-consents.ts";
import { Newest } from "#kernel/memo";

/** The part of `control` that decides who reads Consents at an origin, by RPC. */
export interface ReadingDesk {
  claimReading(question: ReadingQuestion): Promise<ReadingClaim>;
  fileReading(
    change: number,
    question: ReadingQuestion,
    found: readonly ConsentState[] | undefined,
  ): Promise<readonly string[]>;
}

interface ReadingPlace {
  readonly clock: Clock;
  readonly wait: (milliseconds: number) => Promise<unknown>;
  readonly keepAlive: (work: Promise<void>) => void;
}

type ReadAtOrigin = (patients: readonly string[]) => Promise<readonly ConsentState[] | undefined>;

interface ReadStep {
  readonly claim: ReadingClaim;
  readonly found: readonly ConsentState[] | undefined;
  readonly done: readonly string[];
}

// A different request reads the same patients now. Its question to the origin takes this long at most, as a rule.
const [waitMilliseconds, waitsMax] = [100, 100];
const patientsMax = 20_000;

/**
 * Brings the Consents on file up to the state at the origin, at most once a patient and period over all
 * isolates.
 */
export class IsolateReadings {
  readonly #desk: ReadingDesk;
  readonly #copies: Pick<IsolateConsents, "reread">;
  readonly #place: ReadingPlace;
  readonly #readAt = new Newest<Instant>(patientsMax); // by origin and patient

  constructor(desk: ReadingDesk, copies: Pick<IsolateConsents, "reread">, place: ReadingPlace) {
    this.#desk = desk;
    this.#copies = copies;
    this.#place = place;
  }

  /**
   * Reads the Consents of each patient that were not read within the period, and files them. False: the origin or
   * `control` does not answer, so the Consents of these patients are not known.
   * @param read the Consents of patients at the origin; undefined: it does not answer.
   */
  async bringUpToDate(
    origin: string,
    patients: readonly string[],
    everyMilliseconds: number,
    read: ReadAtOrigin,
  ): Promise<boolean> {
    const begun = this.#place.clock();
    const isDue = (patient: string) => {
      const readAt = this.#readAt.get(`${origin}/${patient}`);
      return readAt === undefined || ageAt(readAt, begun) >= everyMilliseconds;
    };
    const due = new Set(patients.filter(isDue));
    if (due.size === 0) return true;
    const stale = [...due];
    const readAt = new Map<string, Instant>();
    try {
      for (let waits = 0; due.size > 0 && waits <= waitsMax; waits += 1) {
        if (waits > 0) await this.#place.wait(waitMilliseconds);
        const question = { origin, patients: [...due], everyMilliseconds };
        const at = this.#place.clock();
        const step = this.#claimAndRead(question, read);
        this.#place.keepAlive(step.then(settled, settled));
        const { claim, found, done } = await step;
        for (const { patient, ageMilliseconds } of claim.read) {
          due.delete(patient);
          readAt.set(patient, instant(at - ageMilliseconds));
        }
        if (claim.claimed.length === 0) continue;
        if (found === undefined) return false;
        for (const patient of done) due.delete(patient);
      }
    } catch {
      return false;
    }
    if (due.size > 0) return false;
    // The copies of this isolate may be older than the reading.
    this.#copies.reread(origin, stale);
    for (const [patient, at] of readAt) this.#readAt.set(`${origin}/${patient}`, at);
    return true;
  }

  /** The runtime would end it when the sender leaves, and no other request could read the claimed patients for a minute. */
  async #claimAndRead(question: ReadingQuestion, read: ReadAtOrigin): Promise<ReadStep> {
    const claim = await inTime("consentReadings", () => this.#desk.claimReading(question));
    if (claim.claimed.length === 0) return { claim, found: [], done: [] };
    const claimed = { ...question, patients: claim.claimed };
    const found = await read(claim.claimed).catch(() => undefined);
    const done = await inTime("consentReadings", () => this.#desk.fileReading(claim.change, claimed, found));
    return { claim, found, done };
  }
}

const settled = (): void => undefined;
