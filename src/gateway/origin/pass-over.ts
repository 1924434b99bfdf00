import type { Result } from "#kernel/result";
import type { Answered } from "./forward.ts";

// A page of an ordinary history or record.
const passedOverMax = 8_388_608;

/** Reads an answer that is not needed to its end, so that timing does not show that it was not needed. */
export async function passOver(answer: Result<Answered, unknown>): Promise<void> {
  if (!answer.ok) return;
  let length = 0;
  for await (const piece of answer.value.body) {
    length += piece.ok ? piece.value.length : 0;
    if (length > passedOverMax) return; // leaving the loop hangs up
  }
}
