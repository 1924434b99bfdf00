import { afterAll, beforeAll, test } from "vitest";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { parseReceipt } from "#ledger/read-receipt";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await sharedTestStack();
}, 60_000);
afterAll(() => phylax.close());

const asked = { headers: { prefer: "handling=strict, Audit-Proof" } };

/**
 * The receipt's leaf, if the receipt's own proof shows it in the log. The log's public key is the only
 * input.
 */
function proven({ headers }: Reply): number | string {
  const receipt = parseReceipt(String(headers["phylax-receipt"]));
  if (!receipt.ok) return receipt.error;
  const { log, index, leafHash, proof } = receipt.value;
  const verifier = parseVerifierKey(phylax.dev.logs[log] ?? "");
  if (!verifier.ok || proof === undefined) return verifier.ok ? "no proof" : verifier.error;
  const opened = openInclusionNote(proof, leafHash, verifier.value);
  return opened.ok ? opened.value.index - index : `${opened.error}: ${fromUtf8(proof)}`;
}

test("a client that asks for it gets each answer's receipt with a proof that checks offline: reads, searches, writes, refusals, batches", async ({
  expect,
}) => {
  const write = { method: "PUT", body: JSON.stringify({ resourceType: "Patient", id: "amara-okafor" }) };
  const entry = [{ request: { method: "GET", url: "Patient/amara-okafor" } }];
  const batch = { method: "POST", body: JSON.stringify({ resourceType: "Bundle", type: "batch", entry }) };
  const json = { headers: { ...asked.headers, "content-type": "application/fhir+json" } };
  const replies = {
    read: await phylax.ask("payer", "Patient/amara-okafor", asked),
    head: await phylax.ask("payer", "Patient/amara-okafor", { ...asked, method: "HEAD" }),
    search: await phylax.ask("telehealth", "Observation?patient=amara-okafor", asked),
    refusal: await phylax.ask("payer", "Observation?patient.name=x", asked),
    write: await phylax.ask("payer", "Patient/amara-okafor", { ...json, ...write }),
    batch: await phylax.ask("telehealth", "", { ...json, ...batch }),
    // refused: its signature is missing
    unsigned: await phylax.ask("exchange", "Patient/amara-okafor", asked),
  };
  for (const [name, reply] of Object.entries(replies)) {
    expect(proven(reply), name).toBe(0);
    expect(reply.headers["preference-applied"], name).toBe("audit-proof");
  }
});

test("concurrent requests all get a proof, though a checkpoint is signed once a second", async ({
  expect,
}) => {
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => phylax.ask("payer", "Patient/amara-okafor", asked)),
  );
  expect(replies.map(proven)).toEqual(replies.map(() => 0));
});

test("without the preference, and for an anonymous caller, there is no proof", async ({ expect }) => {
  const plain = await phylax.ask("payer", "Patient/amara-okafor");
  expect(proven(plain)).toBe("no proof");
  expect(plain.headers["preference-applied"]).toBeUndefined();
  const nobody = await send(
    phylax.dev,
    phylax.client("payer"),
    `${phylax.dev.fhir}/Patient/amara-okafor`,
    asked,
  );
  expect([nobody.status, proven(nobody)]).toEqual([401, "no proof"]);
});
