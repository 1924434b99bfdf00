/** The answer of something outside, or an error with this text when it takes longer. What was asked for may still happen. */
export async function within<T>(milliseconds: number, answer: Promise<T>, late: string): Promise<T> {
  const timer = new AbortController();
  const tooLate = scheduler.wait(milliseconds, { signal: timer.signal }).then(() => {
    throw new Error(late);
  });
  tooLate.catch(() => undefined); // aborted below once the answer is there
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    timer.abort();
  }
}
