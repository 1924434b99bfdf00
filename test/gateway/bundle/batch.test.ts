import { test } from "vitest";
import { readBatch } from "#fhir/batch";
import { readJson } from "#fhir/json/json";
import { answerBatch, answerBytesMax, type BatchScene } from "#gateway/bundle/batch";
import type { Part } from "#gateway/record/parts";
import type { Trail } from "#gateway/record/trail";
import { transact } from "#gateway/bundle/transaction";
import { parseScopes } from "#identity/scopes";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { policy, rule } from "../../policy/granting.ts";
import { sessionOf } from "../../support/origin-session.ts";

const base = "https://api.example/v1/fhir/main";
const origin = "https://origin.internal/fhir";
const large = {
  resourceType: "Observation",
  id: "large",
  status: "final",
  valueString: "x".repeat(Math.floor(answerBytesMax * 0.6)),
};

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}
const bytes = (value: object) => new TextEncoder().encode(JSON.stringify(value));

/** A client that may do everything, until `stillGood` says no; what the origin was sent, and what is on record. */
async function post(
  type: "batch" | "transaction",
  entry: readonly object[],
  stillGood: () => boolean = () => true,
) {
  const scopes = parseScopes("system/*.cruds");
  const json = readJson(bytes({ resourceType: "Bundle", type, entry }));
  const batch = json.ok ? readBatch(json.value) : json;
  if (!scopes.ok || !batch.ok) throw new Error("a test's own mistake");
  const sent: string[] = [];
  const recorded: Part[] = [];
  const ask = async () => ok({ kind: "answered" as const, base: origin, body: body(JSON.stringify(large)) });
  const scene = {
    policy: compilePolicy(
      policy(rule(["Observation"], "everything", { interactions: ["read", "search", "create"] })),
      "sha256:test",
    ),
    access: { scopes: scopes.value, patient: undefined },
    origin: sessionOf(ask, {
      base,
      send: async (_origin, { method, path }) => {
        sent.push(`${method} ${path}`);
        return {
          kind: "written",
          status: 201,
          isJson: true,
          location: `${origin}/${path}/new`,
          body: body(""),
          base: origin,
        };
      },
    }),
    gate: {
      stillGood: async () => (stillGood() ? ok(undefined) : err({ reason: "client_denied" as const })),
      spendRecords: async () => ok(undefined),
      spendNames: async () => ok(undefined),
      spendRequests: async () => ok(undefined),
    },
    requestId: "0".repeat(32),
    who: {},
    at: instant(0),
    prefer: null,
    pages: {},
  } as unknown as BatchScene; // what no entry of these tests comes to is left out
  const trail = {
    intendParts: async (parts: readonly Part[]) => void recorded.push(...parts),
    noteParts: async (parts: readonly Part[]) => void recorded.push(...parts),
    concludeParts: async (parts: readonly Part[], said: Uint8Array<ArrayBuffer>) => {
      recorded.push(...parts);
      return new Response(said);
    },
  } as unknown as Trail;
  const reply = await (type === "batch" ? answerBatch : transact)(batch.value, scene, trail);
  const answer: { entry: readonly { resource?: object; response: { status: string } }[] } = JSON.parse(
    await reply.text(),
  );
  return {
    statuses: answer.entry.map(({ response }) => response.status),
    shown: answer.entry.filter((one) => "resource" in one).length,
    sent,
    recorded,
  };
}

const create = {
  request: { method: "POST", url: "Observation" },
  resource: { resourceType: "Observation", status: "final", code: { text: "a" } },
};
const read = { request: { method: "GET", url: "Observation/large" } };

test("who is denied in the midst of a batch writes no more: what was done is told, the rest is refused and on record as that", async ({
  expect,
}) => {
  let asked = 0;
  const { statuses, sent, recorded } = await post("batch", [create, create, create], () => (asked += 1) <= 3);
  expect(statuses).toEqual(["201", "201", "401"]);
  expect(sent).toEqual(["POST Observation", "POST Observation"]);
  expect(recorded.map(({ kind }) => kind)).toEqual([
    "intent",
    "intent",
    "intent",
    "write",
    "write",
    "refusal",
  ]);
});

test.for(["batch", "transaction"] as const)(
  "of a %s no more is held than one answer may be; what has no room is refused, and not on record as disclosed",
  async (type, { expect }) => {
    const { statuses, shown, recorded } = await post(type, [read, read, read]);
    expect(statuses).toEqual(["200", "502", "502"]);
    expect(shown).toBe(1);
    expect(recorded.map(({ kind }) => kind)).toEqual(["disclosure", "refusal", "refusal"]);
  },
);
