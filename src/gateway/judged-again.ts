import { EntrySplitter } from "#fhir/json/entry-splitter";
import type { Disclosure } from "#phi/disclosure";
import type { ReleaseGate } from "#gateway/admission/release-gate";
import type { Outcome } from "./outcome.ts";

// Revocation deltas reach an isolate every two seconds or so. A request that meets a change each time ends.
const timesMax = 3;

/**
 * Judges a question again whose Consents changed after its rows were judged and before they left: it is asked anew,
 * since further rows may leave by the Consents of now. Nothing of it was sent, released or recorded.
 */
export class JudgedAgain {
  readonly #judge: (() => Promise<Outcome>) | undefined;
  #left = timesMax;

  /** @param judge undefined: there is no question. */
  constructor(judge?: () => Promise<Outcome>) {
    this.#judge = judge;
  }

  /** The outcome by the Consents of now; undefined: the refusal stands. */
  async after({ reason }: { readonly reason: string }, judge = this.#judge): Promise<Outcome | undefined> {
    if (reason !== "consent_changed" || this.#left === 0) return undefined;
    this.#left -= 1;
    return judge?.();
  }

  /**
   * Answers whether the windows of an answer from this index on may leave; what has left has left. If a Consent has
   * changed, each further entry has to be an entry of the answer by the Consents of now: a Consent that permits more
   * breaks no answer.
   */
  async letsLeave(
    { windows, content }: Pick<Disclosure, "windows" | "content">,
    from: number,
    gate: Pick<ReleaseGate, "stillGood">,
  ): Promise<boolean> {
    const still = await gate.stillGood();
    if (still.ok) return true;
    const outcome = await this.after(still.error);
    if (outcome?.kind !== "disclosed") return false;
    await outcome.disclosure.content?.stop(); // its version alone is asked for
    if (content !== undefined)
      return outcome.disclosure.content?.version === content.version && (await gate.stillGood()).ok;
    const present = new Set(entriesOf(outcome.disclosure));
    const further = entriesOf({ windows }).slice(entriesOf({ windows: windows.slice(0, from) }).length);
    return further.every((entry) => present.has(entry)) && (await gate.stillGood()).ok;
  }
}

/** The entries of a list of this gateway, each with a character for a byte: their trees would take ten times as much. */
function entriesOf({ windows }: Pick<Disclosure, "windows">): readonly string[] {
  const found: string[] = [];
  const splitter = new EntrySplitter();
  for (const { body } of windows) {
    const read = splitter.read(body, (entry) => {
      if (entry === "too_large") return entry;
      found.push(Buffer.from(entry).toString("latin1"));
      return undefined;
    });
    if (!read.ok || read.value !== undefined) throw new Error("an entry of an own answer cannot be read");
  }
  return found;
}
