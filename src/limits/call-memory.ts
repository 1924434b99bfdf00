import { instant, type Instant } from "#kernel/clock";
import type { LeaseAnswer } from "./lease-call.ts";

// About 3 MB of a guard's 128 MB. A client with more calls than this in one window loses the tokens that
// its later leases leave unspent.
const callsMax = 10_000;

/**
 * Remembers which calls were answered and how, so that a repeated call changes nothing. It is bounded and
 * never applies a return twice.
 */
export class CallMemory {
  readonly #answers = new Map<
    string,
    { readonly answer: LeaseAnswer; readonly returnedUntil: Instant | undefined }
  >(); // oldest first
  #returnsClosedUntil = instant(0);

  answerTo(id: string): LeaseAnswer | undefined {
    return this.#answers.get(id)?.answer;
  }

  /**
   * False while the memory has forgotten a call that returned tokens to a window still open: a repeat of
   * that call could not be recognised.
   */
  takesReturns(at: Instant): boolean {
    return at >= this.#returnsClosedUntil;
  }

  /** `returnedUntil`: the end of the window that the call returned tokens to, if it returned any. */
  remember(id: string, answer: LeaseAnswer, returnedUntil: Instant | undefined): void {
    this.#answers.set(id, { answer, returnedUntil });
    if (this.#answers.size <= callsMax) return;
    const [oldest, forgotten] = this.#answers.entries().next().value ?? [id, undefined];
    this.#answers.delete(oldest);
    this.#returnsClosedUntil = instant(Math.max(this.#returnsClosedUntil, forgotten?.returnedUntil ?? 0));
  }
}
