import { afterAll, beforeAll, test } from "vitest";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { requestOf } from "../support/in-process/mutual-tls.ts";

// A request that breaks off in the middle of its body is on record like every refused request.

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

test.for([
  ["POST", "Observation/_search", "application/x-www-form-urlencoded"],
  ["POST", "Observation", "application/fhir+json"],
  ["PUT", "Observation/1", "application/fhir+json"],
  ["POST", "", "application/fhir+json"],
] as const)(
  "%s %s: a body that broke off is refused, and on record with who sent it",
  async ([method, path, type], { expect }) => {
    const { cert } = phylax.client("charting");
    const headers = { authorization: `Bearer ${await phylax.token("charting")}`, "content-type": type };
    const template = requestOf(phylax.dev.clientCa.cert, cert, `${phylax.dev.fhir}/${path}`, {
      method,
      headers,
    });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
      pull: (controller) => controller.error(new Error("connection lost")),
    });
    const request = new Request(template, { body, duplex: "half" } as RequestInit);
    Object.defineProperty(request, "cf", { value: Reflect.get(template, "cf") });
    const response = await phylax.within(() => phylax.fetch(request));
    expect(response.status).toBe(400);
    const records = await phylax.records();
    expect(
      records.map(({ event }) => event).filter(({ id }) => id === response.headers.get("x-request-id")),
    ).toMatchObject([
      { kind: "refusal", who: { client: "charting" }, outcome: { status: 400, reason: "body_incomplete" } },
    ]);
  },
);
