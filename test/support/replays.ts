import type { ExpectStatic } from "vitest";
import { openLedger } from "./auditor.ts";
import { askWithProof, type KeyHolder, proofFor } from "./key-holder.ts";
import type { TestStack } from "./stack.ts";
import { verifyLedger } from "./verify.ts";

const path = "Patient/amara-okafor";

/** Sends requests at once with one proof: one is answered, and each of the rest is on record as a replay. */
export async function expectOneOf(
  many: number,
  expect: ExpectStatic,
  phylax: TestStack,
  holder: KeyHolder,
  token: string,
): Promise<void> {
  const proof = await proofFor(phylax, holder, token, path);
  const replies = await Promise.all(
    Array.from({ length: many }, () => askWithProof(phylax, holder, token, path, { proof })),
  );
  expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
  const refused = replies.filter(
    ({ status, headers }) =>
      status === 401 && String(headers["www-authenticate"]).includes('error="invalid_dpop_proof"'),
  );
  expect(refused).toHaveLength(many - 1);
  for (const { text } of refused) expect(text).not.toContain("amara");

  const ids = new Set(replies.map(({ headers }) => headers["x-request-id"]));
  const events = (await openLedger(phylax.dev)).map(({ event }) => event).filter(({ id }) => ids.has(id));
  expect(events.filter(({ kind }) => kind === "disclosure")).toHaveLength(1);
  expect(
    events.filter(({ kind, outcome }) => kind === "refusal" && outcome?.reason === "proof_replayed"),
  ).toHaveLength(many - 1);
  expect(await verifyLedger(phylax.dev)).toMatchObject({ code: 0 });
  // Later, and in another place, it is still used up.
  expect((await askWithProof(phylax, holder, token, path, { proof })).status).toBe(401);
}
