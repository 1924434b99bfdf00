import { makePage, type LongPage } from "./engine-page.ts";

/** Makes a page of an origin's entries in workerd; the answer is the length of its windows. */
export default {
  async fetch(request) {
    const long: LongPage = await request.json();
    return Response.json(makePage(long));
  },
} satisfies ExportedHandler;
