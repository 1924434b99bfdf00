import { test } from "vitest";
import { sendWrite } from "#gateway/change/send";
import { faceOf } from "#entrypoint/gateway-face";
import { sessionOf } from "../../support/origin-session.ts";

test("a write that was not sent says why, and when to send it again", async ({ expect }) => {
  const write = { method: "POST", path: "Observation", body: "{}" } as const;
  const nobody = new Set<string>();
  const concerned = { patients: nobody, unseen: nobody, room: 0, unnamed: false };
  const planned = { kind: "send", write, type: "Observation", id: undefined, concerned } as const;
  const ends = [];
  for (const because of ["failing", "origin_busy", "client_busy"] as const) {
    const session = sessionOf(() => Promise.reject(new Error("no question")), {
      send: async () => ({ kind: "circuit_open", because, retryAfterSeconds: 3 }),
    });
    const { refusal } = await sendWrite(planned, session);
    if (refusal === undefined) throw new Error("it was sent");
    ends.push([refusal, faceOf(refusal).status]);
  }
  expect(ends).toEqual([
    [{ reason: "origin_circuit_open", retryAfterSeconds: 3 }, 503],
    [{ reason: "origin_busy", retryAfterSeconds: 3 }, 503],
    [{ reason: "client_busy", retryAfterSeconds: 3 }, 429],
  ]);
});
