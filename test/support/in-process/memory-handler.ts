import type { MemoryOrigin } from "../../../sandbox/origin/memory-origin.ts";
import type { Handler } from "./network.ts";

/** The sandbox's FHIR server as `fetch` finds it. */
export const handlerOf =
  (origin: MemoryOrigin): Handler =>
  async (request) => {
    const { pathname, search } = new URL(request.url);
    const asked = {
      method: request.method,
      path: pathname + search,
      headers: Object.fromEntries(request.headers),
    };
    const { status, headers, body } = await origin.answer(asked, async () =>
      Buffer.from(await request.bytes()),
    );
    return new Response(body === undefined ? null : new Uint8Array(body), { status, headers });
  };
