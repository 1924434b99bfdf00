/** What a caller sends did not come in time, or its sender broke off. */
export class BodyNotWhole extends Error {
  override readonly name = "BodyNotWhole";
  readonly reason: "body_timed_out" | "body_incomplete";

  constructor(reason: BodyNotWhole["reason"]) {
    super();
    this.reason = reason;
  }
}

// A search of 8 KB comes in one packet or two; a bad line has this long.
const patienceMilliseconds = 15_000;

/**
 * A request's body for as long as its sender may take: then reading it throws `BodyNotWhole`, as it does when the sender breaks off. A request is
 * judged by what was true when it came. Whoever kept it open by its body would be answered long after its token had ended, and its grant was taken away.
 */
export async function* timelyBody(body: ReadableStream<Uint8Array>, milliseconds = patienceMilliseconds): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new BodyNotWhole("body_timed_out")), milliseconds);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read().catch(brokenOff), late]);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // a sender that went away cannot be told
  }
}

/** The runtime's own words for it are not said on: they may name the sender's address. */
function brokenOff(): never {
  throw new BodyNotWhole("body_incomplete");
}
