import { afterAll, beforeAll, expect, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

/** An attempt acts after so many claims: the requests of a test come together, also if the last request is late. */
let awaited = { claims: 0, all: () => {} };
let allClaimed = Promise.resolve();
function together(claims: number): number {
  const { promise, resolve } = Promise.withResolvers<void>();
  allClaimed = promise;
  awaited = { claims, all: resolve };
  return claims;
}

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor({
    remote: async (part, act, method) => {
      if (part !== "keys") return act();
      if (method === "sending") await allClaimed;
      const answer = await act();
      if (method === "claim" && --awaited.claims === 0) awaited.all();
      return answer;
    },
  });
}, 60_000);
afterAll(() => phylax.close());

/** Posts a document to the operators' door under an idempotency key. */
async function post(path: string, key: string, document: object) {
  const { dev } = phylax;
  const headers = { "content-type": "application/json", "idempotency-key": `"${key}"` };
  const {
    status,
    headers: answered,
    text,
  } = await phylax.within(() =>
    send(dev, dev.operators[0], `${dev.ops}/${path}`, {
      method: "POST",
      headers,
      body: JSON.stringify(document),
    }),
  );
  const body = JSON.parse(text) as Readonly<Record<string, unknown>>;
  return { status, body, receipt: answered["phylax-receipt"], retryAfter: answered["retry-after"] };
}

const agreement = {
  id: "payer-2027",
  client: "payer",
  from: "2026-01-01T00:00:00Z",
  to: "2027-12-31T00:00:00Z",
  documentHash: "7".repeat(64),
  purposes: ["HPAYMT"],
};

/** The completed acts of an interaction, as the ledger has them. */
const actsOf = async (interaction: string) =>
  (await phylax.records()).filter(
    ({ event: { kind, what, outcome } }) =>
      kind === "administration" &&
      what?.interaction === interaction &&
      outcome?.status === 200 &&
      outcome.reason === undefined,
  );

test.for([
  {
    path: "api/registry",
    interaction: "apply-registry",
    document: { agreements: [agreement] },
  },
  { path: "api/revocations", interaction: "revoke", document: { kind: "client", client: "lapsed" } },
])(
  "of requests to $path that come together under an idempotency key a single request acts, and each of the others is 409",
  async ({ path, interaction, document }) => {
    const key = `together ${path}`;
    const answers = await Promise.all(Array.from({ length: together(6) }, () => post(path, key, document)));
    const acted = answers.filter(({ status }) => status === 200);
    const waits = answers.filter(({ status }) => status === 409);
    expect([acted.length, waits.length], JSON.stringify(answers)).toEqual([1, 5]);
    for (const { body, retryAfter, receipt } of waits) {
      expect(body["reason"]).toBe("idempotency_key_in_use");
      expect(Number(retryAfter)).toBeGreaterThan(0);
      expect(Number(retryAfter)).toBeLessThanOrEqual(5);
      expect(receipt, "the refusal is on record").toMatch(/^\S+/u);
    }
    const again = await post(path, key, document);
    expect([again.status, again.body], "a later repeat gets the first result").toEqual([200, acted[0]?.body]);
    const other = await post(path, key, { ...document, further: true });
    expect([other.status, other.body["reason"]]).toEqual([422, "idempotency_key_reused"]);
    expect(await actsOf(interaction), "one act").toHaveLength(1);
  },
);

test("a refused document leaves its idempotency key free for the corrected document", async () => {
  const first = await post("api/revocations", "corrected", { kind: "client", client: "nobody" });
  expect([first.status, first.body["pointer"]]).toEqual([422, "/client"]);
  const second = await post("api/revocations", "corrected", { kind: "client", client: "sampler" });
  expect(second.status, JSON.stringify(second.body)).toBe(200);
});
