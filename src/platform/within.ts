/** The answer of something outside, or an error with this text when it takes longer. What was asked for may still happen. */
export async function within<T>(milliseconds: number, answer: Promise<T>, late: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new Error(late)), milliseconds); // a tenth of what `scheduler.wait` with a signal costs
  });
  try {
    return await Promise.race([answer, tooLate]);
  } finally {
    clearTimeout(timer);
  }
}
