import { afterAll, beforeAll, test } from "vitest";
import { openLedger } from "../support/auditor.ts";
import {
  askWithProof,
  keyBoundToken,
  keyHolder,
  keyHolderEntry,
  proofFor,
  type KeyHolder,
} from "../support/key-holder.ts";
import { clientEntries, joined, starterPolicy } from "../support/outside.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { verifyLedger } from "../support/verify.ts";

const path = "Patient/amara-okafor";

let phylax: TestStack;
let holder: KeyHolder;
let token: string;
beforeAll(async () => {
  phylax = await startTestStack();
  holder = await keyHolder("key-holder");
  await phylax.stack.runtime.applyRegistry(
    joined(
      { policies: [starterPolicy("treat")] },
      clientEntries(keyHolderEntry(holder), "TREAT", "treat", "system/*.rs"),
    ),
  );
  token = await keyBoundToken(phylax, holder);
}, 120_000);
afterAll(() => phylax.close());

test(
  "T32: of 1,000 concurrent requests with one proof, exactly one is answered; each of the rest is on record as a replay",
  { timeout: 120_000 },
  async ({ expect }) => {
    const proof = await proofFor(phylax, holder, token, path);
    const replies = await Promise.all(
      Array.from({ length: 1_000 }, () => askWithProof(phylax, holder, token, path, { proof })),
    );
    const taken = replies.filter(({ status }) => status === 200);
    expect(taken).toHaveLength(1);
    const refused = replies.filter(
      ({ status, headers }) =>
        status === 401 && String(headers["www-authenticate"]).includes('error="invalid_dpop_proof"'),
    );
    expect(refused).toHaveLength(999);
    for (const { text } of refused) expect(text).not.toContain("amara");

    const ids = new Set(replies.map(({ headers }) => headers["x-request-id"]));
    const events = (await openLedger(phylax.dev)).map(({ event }) => event).filter(({ id }) => ids.has(id));
    expect(events.filter(({ kind }) => kind === "disclosure")).toHaveLength(1);
    expect(
      events.filter(({ kind, outcome }) => kind === "refusal" && outcome?.reason === "proof_replayed"),
    ).toHaveLength(999);
    expect(await verifyLedger(phylax.dev)).toMatchObject({ code: 0 });
    // Later, and in another place, it is still used up.
    expect((await askWithProof(phylax, holder, token, path, { proof })).status).toBe(401);
  },
);
