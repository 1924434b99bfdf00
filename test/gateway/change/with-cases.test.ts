import { test } from "vitest";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { withCases } from "#gateway/change/with-cases";
import { to } from "../../support/fhir-parts.ts";

type Sending = Parameters<typeof withCases<object, { readonly reason: string }>>;

const guide = "http://hl7.org/fhir/uv/patient-corrections/CodeSystem/PatientCorrectionCommunicationTypes";
const request = (base = "") => ({
  resourceType: "Communication",
  category: [{ coding: [{ system: guide, code: "medRecCxReq" }] }],
  subject: to(`${base}Patient/1`),
  sender: to(`${base}Patient/1`),
  payload: [{ contentReference: to(`${base}Observation/1`) }],
  about: [to(`${base}Communication/0`)],
});

/** Sends a row between the calls of its case. Returns the calls, and how it ended. */
async function sent(
  row: object,
  more: Partial<Sending[1]> = {},
  answer: () => Promise<"too_many" | undefined> = () => Promise.resolve(undefined),
) {
  const calls: (readonly [string, unknown])[] = [];
  const origin = {
    base: "https://gateway.example/fhir",
    traits: async () => ({ base: ["https://origin.example/fhir", "https://old.example/fhir"] }),
    cases: {
      opening: {
        open: async (_request: unknown, writes: unknown) => {
          calls.push(["open", writes]);
          return await answer();
        },
        settle: async (_request: unknown, writes: unknown) => void calls.push(["settle", writes]),
      },
      request: { requestId: "r", at: instant(0), client: "c", origin: "main" },
    },
  };
  const plan = { kind: "send", type: "Communication", write: { body: JSON.stringify(row) } };
  const change = { index: 0, plan, origin } as unknown as Sending[0][number];
  const ended = await withCases([change], {
    isRegistrar: false,
    refusedAlone: undefined,
    stillGood: async () => ok(undefined),
    send: async () => void calls.push(["send", undefined]),
    ...more,
  });
  return { calls, ended };
}

test("a request is known by each base of its server", async ({ expect }) => {
  for (const base of ["", "https://gateway.example/fhir/", "https://old.example/fhir/"]) {
    const { calls } = await sent(request(base));
    expect(calls[0]).toEqual([
      "open",
      [
        expect.objectContaining({
          patient: "Patient/1",
          of: ["Communication/0"],
          rows: ["Observation/1"],
        }),
      ],
    ]);
  }
});

test("a client that is denied while the case of its request opens sends nothing, and the case goes", async ({
  expect,
}) => {
  const denied = err({ reason: "client_denied" });
  const { calls, ended } = await sent(request(), { stillGood: async () => denied });
  expect(ended).toEqual(denied);
  expect(calls.map(([name]) => name)).toEqual(["open", "settle"]);
  expect(calls[1]?.[1]).toEqual([expect.objectContaining({ end: "not stored" })]);
});

test("a whole whose cases are not opened is not sent, and leaves no case", async ({ expect }) => {
  for (const [answer, reason] of [
    [async (): Promise<"too_many"> => "too_many", "too_many_cases"],
    [(): Promise<never> => Promise.reject(new Error("the answer is lost")), "case_not_opened"],
  ] as const) {
    const { calls, ended } = await sent(request(), {}, answer);
    expect(ended).toEqual(err({ reason }));
    expect(calls.map(([name]) => name)).toEqual(["open", "settle"]);
    expect(calls[1]?.[1]).toEqual([expect.objectContaining({ end: "not stored" })]);
  }
});
