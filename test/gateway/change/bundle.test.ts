import { test } from "vitest";
import { readBatch } from "#fhir/batch";
import { readJson } from "#fhir/json/json";
import type { PendingDisclosure } from "#gateway/admission/release-gate";
import { answerBundle } from "#gateway/change/bundle";
import { answerBytesMax, clearEntries } from "#gateway/change/entry-outcome";
import { HeldBytes } from "#gateway/origin/held-bytes";
import type { Part } from "#gateway/record/parts";
import { parseScopes } from "#identity/scopes";
import { err, ok } from "#kernel/result";
import { MemoryBusy } from "#limits/shared-memory";
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

/** A server's answer to a transaction: the same for each entry, without its resource. */
const transactionAnswer = (transaction: string | undefined, entry: object) => ({
  resourceType: "Bundle",
  type: "transaction-response",
  entry: (JSON.parse(transaction ?? "{}").entry ?? []).map(() => entry),
});

/**
 * Posts a bundle of a client that may do everything, until `stillGood` says no. Returns the writes at the
 * origin and the record.
 */
async function post(
  type: "batch" | "transaction",
  entry: readonly object[],
  stillGood: () => boolean = () => true,
  prefer: string | null = null,
  row: object = large,
  memory?: (bytes: number, sent: number) => void,
  changes: () => boolean = () => false,
) {
  const scopes = parseScopes("system/*.cruds");
  const json = readJson(bytes({ resourceType: "Bundle", type, entry }));
  const batch = json.ok ? readBatch(json.value, base) : json;
  if (!scopes.ok || !batch.ok) throw new Error("a test's own mistake");
  const sent: string[] = [];
  const recorded: Part[] = [];
  let [asked, judgements] = [0, 0];
  const ask = async () => {
    asked += 1;
    return ok({ kind: "answered" as const, base: origin, body: body(JSON.stringify(row)) });
  };
  const permission = {
    policy: compilePolicy(
      policy(
        rule(["Observation", "Patient"], "everything", {
          interactions: ["read", "search", "create", "update"],
        }),
      ),
      "sha256:test",
    ),
    access: { scopes: scopes.value, patient: undefined },
  };
  const session = sessionOf(ask, {
    base,
    held: new HeldBytes({ hold: (bytes) => memory?.(bytes, sent.length), page: () => () => {} }),
    send: async (_origin, { method, path, body: whole }) => {
      sent.push(`${method} ${path}`);
      const stored = { response: { status: "201 Created", location: `${origin}/Observation/new` } };
      const answers = type === "batch" ? "" : JSON.stringify(transactionAnswer(whole, stored));
      return {
        kind: "written",
        status: 201,
        isJson: true,
        location: `${origin}/${path}/new`,
        body: body(answers),
        base: origin,
      };
    },
  });
  if (memory !== undefined)
    session.judgeBy({
      expected: async () => true,
      resolve: async () => ok(new Set()),
      opening: () => () => undefined,
      denyingOf: async () => 0,
      relate: async () => ok(undefined),
      coverRelation: async () => ok(undefined),
      permitting: undefined,
      statingOf: () => [],
      stand: async () => true,
      // as if each write filed a Consent: the writes behind it are planned anew
      get generation() {
        return sent.length + judgements;
      },
      judgeAnew: () => void (judgements += 1),
    });
  const gate = {
    stillGood: async () =>
      changes()
        ? err({ reason: "consent_changed" as const })
        : stillGood()
          ? ok(undefined)
          : err({ reason: "client_denied" as const }),
    spendNames: async () => ok(undefined),
    spendFurtherRequests: async () => ok(undefined),
    clearEach: async (disclosures: readonly PendingDisclosure[]) =>
      disclosures.map(({ disclosure }) => ok(disclosure)),
  };
  const record = {
    intendParts: async (parts: readonly Part[]) => {
      recorded.push(...parts);
      return ok(undefined);
    },
    noteParts: async (parts: readonly Part[]) => void recorded.push(...parts),
  };
  const links = { to: async () => ok(undefined) };
  const bundle = { ...batch.value, prefer, body: null };
  const answered = await answerBundle(bundle, permission, session, links, gate, record);
  if (!answered.ok || "reason" in answered.value.result) throw new Error("a test's own mistake");
  const { result, parts } = answered.value;
  const answers = await clearEntries(result, gate);
  recorded.push(...parts, ...result.flatMap((entry) => entry.parts));
  return {
    statuses: answers.map(({ status }) => String(status)),
    shown: answers.filter(({ disclosure }) => disclosure !== undefined).length,
    sent,
    recorded,
    asked,
  };
}

const create = {
  request: { method: "POST", url: "Observation" },
  resource: { resourceType: "Observation", status: "final", code: { text: "a" } },
};
const read = { request: { method: "GET", url: "Observation/large" } };

test("a client who is denied during a batch writes no more: done writes are answered, the rest is refused, and the record says both", async ({
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
  "a %s holds at most a single answer's bytes; an entry without room is refused, and is not on record as disclosed",
  async (type, { expect }) => {
    const { statuses, shown, recorded } = await post(type, [read, read, read]);
    expect(statuses).toEqual(["200", "502", "502"]);
    expect(shown).toBe(1);
    expect(recorded.map(({ kind }) => kind)).toEqual(["disclosure", "refusal", "refusal"]);
  },
);

test("a transaction reads at most fifty resources that the origin's answer does not show", async ({
  expect,
}) => {
  const creates = Array.from({ length: 60 }, () => create);
  const row = { ...create.resource, id: "new" };
  const prefer = "return=representation";
  const { statuses, shown, asked } = await post("transaction", creates, () => true, prefer, row);
  expect([new Set(statuses), shown, asked]).toEqual([new Set(["201"]), 50, 50]);
  expect((await post("transaction", creates)).asked).toBe(0);
});

test.for(["batch", "transaction"] as const)(
  "an isolate without memory after the writes of a %s refuses entries alone: a done write is answered and on record",
  async (type, { expect }) => {
    const search = { request: { method: "GET", url: "Observation?patient.gender=female" } };
    const patient = { resourceType: "Patient", id: "a", gender: "female" };
    const found = {
      resourceType: "Bundle",
      type: "searchset",
      entry: [{ resource: patient, search: { mode: "match" } }],
    };
    let held = 0;
    const memory = (bytes: number, sent: number) => {
      if (sent > 0 && bytes > held) throw new MemoryBusy();
      held = bytes;
    };
    const entries = [create, create, search];
    const { statuses, recorded } = await post(type, entries, () => true, null, found, memory);
    const done = type === "batch" ? 1 : 2;
    expect(statuses.slice(0, done)).toEqual(["201", "201"].slice(0, done));
    for (const status of statuses.slice(done)) expect(status).toMatch(/^[45]/u);
    expect(statuses.at(-1), "the search may be repeated later").toBe("503");
    expect(recorded.filter(({ kind }) => kind === "write")).toHaveLength(done);
  },
);

test("a write that is planned again, and again, gives the bytes of each plan back once", async ({
  expect,
}) => {
  const patches = JSON.stringify([{ op: "replace", path: "/status", value: "amended" }]);
  const patch = {
    request: { method: "PATCH", url: "Observation/large" },
    resource: {
      resourceType: "Binary",
      contentType: "application/json-patch+json",
      data: Buffer.from(patches).toString("base64"),
    },
  };
  /** The bytes that are held once both writes are sent. */
  const heldOnceSent = async (changesAt: number) => {
    let [length, still] = [0, 0];
    const held: number[] = [];
    const growing = {
      toJSON: () => ({
        ...large,
        code: { text: "a" },
        meta: { versionId: "1" },
        valueString: "x".repeat((length += 10_000)),
      }),
    };
    const memory = (bytes: number, sent: number) => void (sent === 2 && held.push(bytes));
    const changes = () => (still += 1) === changesAt;
    const { statuses } = await post("batch", [create, patch], () => true, null, growing, memory, changes);
    expect([statuses, length]).toEqual([["201", "200"], changesAt === 0 ? 20_000 : 30_000]);
    return held[0];
  };
  expect(await heldOnceSent(3)).toBe(await heldOnceSent(0));
});
