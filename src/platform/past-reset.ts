/**
 * Asks a Durable Object, with a new stub each time. An object that was just restarted fails the calls in flight and
 * breaks their stubs: one more try. The call may be repeated.
 */
export async function pastReset<Stub, T>(newStub: () => Stub, ask: (stub: Stub) => Promise<T>): Promise<T> {
  try {
    return await ask(newStub());
  } catch (fault) {
    if (!(fault instanceof Error) || Reflect.get(fault, "durableObjectReset") !== true) throw fault;
    return await ask(newStub());
  }
}
