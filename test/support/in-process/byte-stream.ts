/**
 * The same bytes as a stream that can be read into views, as workerd's bodies can. Node 24 has a bug: a read
 * with `min` throws if the body was closed with fewer bytes left than `min`.
 */
export function byteStream(source: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = source.getReader();
  let rest = new Uint8Array();
  return new ReadableStream({
    type: "bytes",
    async pull(controller) {
      while (rest.length === 0) {
        const { done, value } = await reader.read();
        if (done) {
          controller.close();
          controller.byobRequest?.respond(0);
          return;
        }
        rest = new Uint8Array(value);
      }
      const view = controller.byobRequest?.view;
      if (!view) {
        controller.enqueue(rest);
        rest = new Uint8Array();
        return;
      }
      const taken = rest.subarray(0, view.byteLength);
      new Uint8Array(view.buffer, view.byteOffset, taken.length).set(taken);
      rest = rest.subarray(taken.length);
      controller.byobRequest.respond(taken.length);
    },
    cancel: (reason) => reader.cancel(reason),
  });
}
