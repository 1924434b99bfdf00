import { instant, type Instant } from "#kernel/clock";
import type { LeaseAnswer } from "./lease-call.ts";

// About 3 MB of a guard's 128; a client with more calls than this in one window loses what later leases leave unspent.
const callsMax = 10_000;

/** Which calls were answered and how, so that a repeated one changes nothing. Bounded without ever applying a return twice. */
export class CallMemory {
  readonly #answers = new Map<
    string,
    { readonly answer: LeaseAnswer; readonly returnedUntil: Instant | undefined }
  >(); // oldest first
  #returnsClosedUntil = instant(0);

  answerTo(id: string): LeaseAnswer | undefined {
    return this.#answers.get(id)?.answer;
  }

  /** False while a call that brought tokens back into a window still open has been forgotten: its repeat could not be told. */
  takesReturns(at: Instant): boolean {
    return at >= this.#returnsClosedUntil;
  }

  /** `returnedUntil`: the end of the window that the call brought tokens back into, if it did. */
  remember(id: string, answer: LeaseAnswer, returnedUntil: Instant | undefined): void {
    this.#answers.set(id, { answer, returnedUntil });
    if (this.#answers.size <= callsMax) return;
    const [oldest, forgotten] = this.#answers.entries().next().value ?? [id, undefined];
    this.#answers.delete(oldest);
    this.#returnsClosedUntil = instant(Math.max(this.#returnsClosedUntil, forgotten?.returnedUntil ?? 0));
  }
}
