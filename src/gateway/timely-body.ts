/** What a caller sends did not come in time. */
export class BodyTooSlow extends Error {
  override readonly name = "BodyTooSlow";
}

/** The sender of a body went away in the middle. */
export class BodyBrokenOff extends Error {
  override readonly name = "BodyBrokenOff";
}

// A search of 8 KB comes in one packet or two; a bad line has this long.
const patienceMilliseconds = 15_000;

/**
 * A request's body for as long as its sender may take: then reading it throws `BodyTooSlow`, and `BodyBrokenOff` where it ends before its end. A request is judged by what was true when it
 * came. Whoever kept it open by its body would be answered long after its token had ended, and its grant was taken away.
 */
export async function* timelyBody(body: ReadableStream<Uint8Array>, milliseconds = patienceMilliseconds): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new BodyTooSlow()), milliseconds);
  });
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read().catch(broken), late]);
      if (done) return;
      yield value;
    }
  } finally {
    clearTimeout(timer);
    reader.cancel().catch(() => {}); // a sender that went away cannot be told
  }
}

function broken(): never {
  throw new BodyBrokenOff();
}
