/** A call took longer than its limit. It may still have its effect; its answer is dropped. */
export class LateAnswer extends Error {
  override readonly name: string = "LateAnswer";
}

/**
 * The result of a call, or a {@link LateAnswer} with this text when it takes longer than the limit. The call may
 * still have its effect.
 */
export function within<T>(milliseconds: number, answer: Promise<T>, late: string): Promise<T> {
  return new Promise<T>((give, refuse) => {
    // a tenth of the cost of `scheduler.wait` with a signal
    const timer = setTimeout(() => refuse(new LateAnswer(late)), milliseconds);
    // costs less than a race of two promises
    void answer.then(give, refuse).then(() => clearTimeout(timer));
  });
}
