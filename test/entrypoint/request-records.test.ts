import { expect, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { ProofSink, Recorded } from "#audit/ports";
import { instant } from "#kernel/clock";
import { proofAtHome, receiptHeader, RequestRecords, senderOf } from "#entrypoint/request-records";

const recorded: Recorded = {
  log: "main.0.2026h2",
  index: 7,
  count: 1,
  frame: 3,
  leafHash: new Uint8Array(32),
  frameHash: new Uint8Array(32),
};
const events: readonly AuditEvent[] = [];
const proof = { jkt: "thumbprint", id: "jti", made: instant(0) };
const byAddress = { kind: "address", address: "192.0.2.1" } as const;

/** A ledger that notes which way each append took. */
function noting(): { readonly ledger: ProofSink; readonly ways: string[] } {
  const ways: string[] = [];
  const note = (way: string, result: Recorded | "replayed") => {
    ways.push(way);
    return Promise.resolve(result);
  };
  return {
    ledger: {
      record: (_, sender) => note(sender.kind, recorded) as Promise<Recorded>,
      recordOnce: () => note("proof", "replayed"),
    },
    ways,
  };
}

test("the first append of a request with a proof uses the proof up, and no further append does", async () => {
  const { ledger, ways } = noting();
  const records = new RequestRecords(ledger);
  expect(await records.first(events, byAddress, proof)).toBe("replayed");
  expect(await records.first(events, byAddress, proof)).toBe(recorded);
  expect(await records.further(events, byAddress)).toBe(recorded);
  expect(ways).toEqual(["proof", "address", "address"]);
});

test("a proof that is known only after a first record is still used up", async () => {
  const { ledger, ways } = noting();
  const records = new RequestRecords(ledger);
  await records.first(events, byAddress, undefined);
  await records.first(events, byAddress, proof);
  expect(ways).toEqual(["address", "proof"]);
});

test("a record goes with its sender's key, else with its client, else with its address", () => {
  const request = { id: "request", address: "192.0.2.1" };
  const app = { id: "app" };
  expect(senderOf(request, app, "thumbprint", 4)).toEqual({ kind: "key", jkt: "thumbprint", client: "app" });
  const byClient = { kind: "client", client: "app", turn: "request", spread: 4 };
  expect(senderOf(request, app, undefined, 4)).toEqual(byClient);
  // all records of a request go by its turn
  expect(senderOf({ ...request, turn: "earlier" }, app, undefined, 4)).toEqual({
    ...byClient,
    turn: "earlier",
  });
  expect(senderOf(request, undefined, undefined, 4)).toEqual(byAddress);
});

test("a key's record goes to its client's home, and every other record says where the request arrived", () => {
  const request = { id: "request", address: "192.0.2.1", continent: "EU" };
  const home = { region: "enam", since: undefined } as const;
  const app = { id: "app", home };
  const byKey = { kind: "key", jkt: "thumbprint", client: "app", home: "enam" };
  expect(senderOf(request, app, "thumbprint", 4)).toEqual(byKey);
  expect(senderOf(request, app, undefined, 4)).toMatchObject({ home: "enam", continent: "EU" });
  expect(senderOf(request, undefined, undefined, 4)).toEqual({ ...byAddress, continent: "EU" });
  expect(proofAtHome(proof, app)).toEqual({ ...proof, client: "app", home });
  expect(proofAtHome(undefined, app)).toBeUndefined();
});

test("a refusal that was only counted has no receipt", () => {
  expect(receiptHeader("counted")).toEqual({});
  const [bare, proven] = [receiptHeader(recorded), receiptHeader(recorded, Uint8Array.of(1))];
  expect(bare["phylax-receipt"]).toMatch(/^log="main\.0\.2026h2", index=7, /u);
  expect(proven["phylax-receipt"]).toBe(`${bare["phylax-receipt"]}, proof=:AQ==:`);
});
