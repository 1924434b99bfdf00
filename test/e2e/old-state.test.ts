import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { decodeRecord } from "#audit/record";
import { currentReason, withCurrentReasons } from "#audit/renamed-reasons";
import { allRefusals } from "#entrypoint/all-refusals";
import { endOf } from "#ledger/log-name";
import frozen from "../frozen-names.json" with { type: "json" };
import { phylaxIn } from "../cli/phylax.ts";
import { pythonIsMissing, verifyLedger } from "../ledger/second-verifier.ts";
import { accountingLine, disclosureLine, type AccountedEvent } from "../support/accounting-lines.ts";
import { lane } from "../support/lane.ts";
import { oldVersions, unpackOldState, type OldRecord, type OldState } from "../support/old-state.ts";
import { shapeOf } from "../support/shape-of.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

/**
 * Each version starts from the state of each earlier version, and reads and verifies its ledger.
 * test/fixtures has the states, made by scripts/make-old-state.ts. A start renews expired certificates. A
 * later half-year has its own logs in addition to the old logs.
 */

const sixYearsMilliseconds = 6 * 365.25 * 86_400_000; // 45 CFR 164.528(a)(3): older lines may be deleted

// Nearly every test runs one or two commands, each in its own process.
const patience = { timeout: 120_000 };

/** An event as the command prints it: with the reasons of this version. */
const told = (event: AuditEvent): unknown => plain(withCurrentReasons(event));
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("the state of the first version is among the states below", ({ expect }) => {
  expect(oldVersions).toContain("7cc3e5d");
});

for (const version of oldVersions) {
  describe(`the state of ${version}`, () => {
    let old: OldState;
    let phylax: TestStack;
    beforeAll(async () => {
      old = unpackOldState(version);
      phylax = await startTestStack({ state: old.state, bundles: old.bundles });
    }, 120_000);
    afterAll(async () => {
      await phylax.close();
      old.remove();
    });

    const command = (...args: readonly string[]) => phylaxIn(old.folder, ...args);
    const devFile = () => join(old.state, "dev.json");
    const sinceThen = () => old.checkpoints.flatMap((file) => ["--since", file]);
    const receiptsThen = () => old.told.receipts.flatMap((receipt) => ["--receipt", receipt]);
    const readLedger = async (): Promise<readonly OldRecord[]> => {
      const key = join(old.state, "auditors", "auditor-1.jwk.json");
      const { code, out, error } = await command(
        "ledger",
        "read",
        phylax.dev.ledger,
        "--key",
        key,
        "--keys",
        devFile(),
        "--json",
      );
      if (code !== 0) throw new Error(error);
      return out
        .split("\n")
        .filter(Boolean)
        .map((line): OldRecord => JSON.parse(line));
    };

    test("it starts: dev.json has the keys that checks rely on, the old logs and the same public keys", ({
      expect,
    }) => {
      const { dev } = phylax;
      expect(shapeOf(JSON.parse(readFileSync(devFile(), "utf8")), new Set(["logs", "witnesses"]))).toEqual(
        frozen["dev.json keys"],
      );
      expect(dev.logs).toMatchObject(old.told.logs);
      const { ledgerName, root, witnesses } = old.told;
      expect(dev).toMatchObject({ ledgerName, root, witnesses });
    });

    test(
      "its ledger verifies from each old checkpoint and receipt on, before the first request",
      patience,
      async ({ expect }) => {
        expect(old.checkpoints.length).toBeGreaterThan(1);
        const verified = await command(
          "ledger",
          "verify",
          phylax.dev.ledger,
          "--keys",
          devFile(),
          ...sinceThen(),
          ...receiptsThen(),
        );
        expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
      },
    );

    test.skipIf(lane === "fast")(
      "the export of that version verifies by either verifier, and a changed byte of it does not",
      patience,
      async ({ expect }) => {
        const keys = [...Object.values(old.told.logs), old.told.root].flatMap((key) => ["--key", key]);
        const verified = await command(
          "ledger",
          "verify",
          old.exported,
          ...keys,
          ...sinceThen(),
          ...receiptsThen(),
        );
        expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
        if (!pythonIsMissing) {
          const second = await verifyLedger(old.exported, ...keys, ...sinceThen(), ...receiptsThen());
          expect(second, second.out).toMatchObject({ code: 0 });
        }
        const [log = ""] = Object.keys(old.told.logs);
        const file = join(old.exported, log, "frame", "0");
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1));
        expect((await command("ledger", "verify", old.exported, ...keys)).code).toBe(1);
        if (!pythonIsMissing) expect((await verifyLedger(old.exported, ...keys)).code).toBe(1);
        writeFileSync(file, bytes);
      },
    );

    test(
      "an auditor opens every old record with the old key, and each has the same content",
      patience,
      async ({ expect }) => {
        const now = new Map(
          (await readLedger()).map((record) => [`${record.log} ${record.leaf}`, record.event]),
        );
        expect(old.told.records.length).toBeGreaterThan(50);
        for (const { log, leaf, event } of old.told.records) {
          const read = now.get(`${log} ${leaf}`);
          expect(read, `${event.kind} ${event.id}`).toEqual(told(event));
        }
        // A counted refusal takes a thousand refusals: the next test has the records of counts.
        const kindsThen = new Set(old.vectors.map(({ event }) => String(event["kind"])));
        kindsThen.delete("refusals");
        expect(new Set(old.told.records.map(({ event }) => event.kind))).toEqual(kindsThen);
        // Each reason has a face in this version's table, under its new name if it was renamed.
        const refused = old.told.records.filter(
          ({ event }) => event.kind !== "aborted" && event.outcome?.reason !== undefined,
        );
        expect(refused.length).toBeGreaterThan(5);
        const faces = Object.keys(allRefusals);
        for (const { event } of refused) expect(faces).toContain(currentReason(event.outcome?.reason ?? ""));
      },
    );

    test("a record of each kind, with each field, decodes to the content that the version encoded", ({
      expect,
    }) => {
      expect(old.vectors.map(({ event }) => event["kind"])).toEqual(
        expect.arrayContaining(["disclosure", "configuration", "refusals"]),
      );
      for (const { event, plaintext } of old.vectors) {
        const record = decodeRecord(new Uint8Array(Buffer.from(plaintext, "hex")));
        expect(record.ok && plain(record.value.event), String(event["kind"])).toEqual(event);
        expect(record.ok && record.value.unknown.size).toBe(0);
      }
    });

    test(
      "its clients read, write and are refused, revocations stay, and its registry is unchanged",
      patience,
      async ({ expect }) => {
        const status = async (client: string, path: string) => (await phylax.ask(client, path)).status;
        expect(await status("telehealth", "Patient/amara-okafor")).toBe(200);
        expect(await status("public-health", "Patient/bela")).toBe(200);
        expect(await status("patient-app", "Patient/bela")).toBe(404);
        const body = JSON.stringify({
          resourceType: "Observation",
          status: "final",
          category: [
            {
              coding: [
                { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "vital-signs" },
              ],
            },
          ],
          code: { coding: [{ system: "http://loinc.org", code: "8867-4" }] },
          subject: { reference: "Patient/bela" },
          effectiveDateTime: "2026-01-05",
        });
        const headers = { "content-type": "application/fhir+json" };
        expect((await phylax.ask("charting", "Observation", { method: "POST", headers, body })).status).toBe(
          201,
        );
        await expect(phylax.token("sampler")).rejects.toThrow(/no token/u);
        await expect(phylax.token("tiny"), "lifted again").resolves.toBeTruthy();
        const file = join(old.folder, "wish.json");
        writeFileSync(
          file,
          JSON.stringify({ agreements: [{ ...secondAgreement, documentHash: "1".repeat(64) }] }),
        );
        const applied = await command("registry", "apply", file, "--state", old.state);
        expect(applied, applied.error).toMatchObject({
          code: 0,
          out: expect.stringContaining("0 added, 0 changed"),
        });
      },
    );

    test.skipIf(lane === "fast")(
      "the accounting answers from the old lines, including suspensions, each with its proof",
      patience,
      async ({ expect }) => {
        const kept = (log: string) => Date.now() < Number(endOf(log)) + sixYearsMilliseconds;
        const linesThen = (patient: string) =>
          old.told.records
            .filter(({ log, event }) => event.kind === "disclosure" && kept(log))
            .flatMap(({ event }) =>
              event.patients
                .filter((one) => one.patient === `main/Patient/${patient}`)
                .map((one) => disclosureLine(event, one)),
            );
        for (const patient of ["bela", "carl", "amara-old"]) {
          const path = `Patient/${patient}/$disclosures?all=true&start=${old.told.madeAt.slice(0, 10)}`;
          const { status, text } = await phylax.ask("privacy-officer", path);
          expect(status, text).toBe(200);
          const entries: readonly {
            readonly search: { readonly mode: string };
            readonly resource: AccountedEvent;
          }[] = JSON.parse(text).entry;
          const now = entries
            .filter(({ search }) => search.mode === "match")
            .map(({ resource }) => accountingLine(resource));
          const then = linesThen(patient);
          expect(then.length, patient).toBeGreaterThan(kept(Object.keys(old.told.logs)[0] ?? "") ? 0 : -1);
          expect(now, patient).toEqual(expect.arrayContaining(then));
          if (patient === "bela" && then.length > 0) expect(text).toContain("suspended");
          const file = join(old.folder, "accounting.json");
          writeFileSync(file, text);
          const checked = await command(
            "accounting",
            "check",
            file,
            "--keys",
            devFile(),
            "--ledger",
            phylax.dev.ledger,
          );
          expect(checked, checked.error).toMatchObject({ code: 0, error: "" });
        }
      },
    );

    test(
      "it continues: new records verify next to the old records, from each old checkpoint, by either verifier",
      patience,
      async ({ expect }) => {
        const before = (await readLedger()).length;
        const replies = await Promise.all(
          Array.from({ length: 12 }, () => phylax.ask("telehealth", "Patient/carl")),
        );
        expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 200));
        const receipts = replies.flatMap(({ headers }) => ["--receipt", String(headers["phylax-receipt"])]);
        const claims = [...sinceThen(), ...receiptsThen(), ...receipts];
        const verified = await command("ledger", "verify", phylax.dev.ledger, "--keys", devFile(), ...claims);
        expect(verified, verified.error).toMatchObject({ code: 0, error: "" });
        expect((await readLedger()).length).toBeGreaterThanOrEqual(before + replies.length);
        const exported = await command("ledger", "export", "now", phylax.dev.ledger, "--keys", devFile());
        expect(exported, exported.error).toMatchObject({ code: 0, error: "" });
        if (pythonIsMissing) return;
        const second = await verifyLedger(join(old.folder, "now"), "--keys", devFile(), ...claims);
        expect(second, second.out).toMatchObject({ code: 0 });
      },
    );
  });
}

/** As scripts/make-old-state.ts applied it. */
const secondAgreement = {
  id: "payer-second-agreement",
  client: "payer",
  purposes: ["HPAYMT"],
  from: "2026-01-01T00:00:00Z",
  to: "2036-01-01T00:00:00Z",
};
