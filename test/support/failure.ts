/**
 * The message of the error that a call ends in. (`expect(…).rejects` leaves the promise of an RPC call
 * unhandled.)
 */
export async function failure(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (fault) {
    return String(fault);
  }
  return "no failure";
}
