import { runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { accountingLines, subjectOf } from "#audit/accounting/line";
import type { AuditEvent } from "#audit/event";
import { sameBytes } from "#ledger/bytes/bytes";
import { fromCbor } from "#ledger/bytes/cbor";
import { parseLeaf } from "#ledger/leaf/leaf";
import { lineCommitment } from "#ledger/leaf/lines";
import { verifyInclusion } from "#ledger/tlog/merkle";
import { intakeNameOf, intakePartOf } from "#platform/ledger/object/accounting/accounting-intake";
import {
  type ProvableLine,
  shelfNameOf,
  shelfNumberOf,
} from "#platform/ledger/object/accounting/accounting-shelf";
import { LedgerDrain, type LineReceivers } from "#platform/ledger/object/accounting/drain";
import type { PackedLines } from "#platform/ledger/object/accounting/packed-lines";
import { config, disclosureOf, ownLog, shard } from "./worker.ts";

vi.setConfig({ testTimeout: 120_000 });
vi.spyOn(console, "error").mockImplementation(() => {}); // each failed drain is logged

type Fate = "stored" | "refused" | "answer lost" | "slow";
type Line = Omit<ProvableLine, "subject">;

/** Shelves and intakes that store lines in memory, and fail as they are told. */
class Receivers implements LineReceivers {
  readonly lines = new Map<string, Line>();
  readonly #fate: () => Fate;

  constructor(fate: () => Fate) {
    this.#fate = fate;
  }

  readonly shelves = (name: string) =>
    this.#receiver((lines: readonly ProvableLine[]) => {
      for (const line of lines) {
        expect(shelfNameOf(line.subject)).toBe(name);
        expect(subjectOf(line.content)).toEqual(line.subject);
        this.#take(line);
      }
    });

  readonly intakes = (name: string) =>
    this.#receiver(({ log, parts }: PackedLines) => {
      for (const { part, rows } of parts) {
        for (const [of, index, line, lines, content, salt, path, consents] of fromCbor(rows) as never[][]) {
          const taken = { log: of, index, line, lines, content, salt, path, consents } as unknown as Line;
          const subject = subjectOf(taken.content) ?? new Uint8Array();
          expect([log, intakeNameOf(shelfNameOf(subject)), intakePartOf(shelfNumberOf(subject))]).toEqual([
            of,
            name,
            part,
          ]);
          this.#take(taken);
        }
      }
    });

  #receiver(store: (lines: never) => void): never {
    const put = async (lines: never): Promise<"kept"> => {
      const fate = this.#fate();
      if (fate === "slow") await scheduler.wait(3);
      if (fate === "refused") throw new Error("down");
      store(lines);
      if (fate === "answer lost") throw new Error("lost");
      return "kept";
    };
    return { put } as never;
  }

  #take(line: Line): void {
    const place = `${line.log}/${line.index}/${line.line}`;
    const there = this.lines.get(place);
    if (there !== undefined)
      expect(sameBytes(there.content, line.content) && sameBytes(there.salt, line.salt)).toBe(true);
    this.lines.set(place, line);
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ append: fc.constantFrom(1, 2, 3, 30, 80, 600) }) },
  { weight: 4, arbitrary: fc.record({ meanwhile: fc.constantFrom(0, 1, 40) }) },
  { weight: 1, arbitrary: fc.constant({ restart: true }) },
  { weight: 1, arbitrary: fc.constant({ drainWithoutDisk: true }) },
);
const fates = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fate>("stored") },
    { weight: 1, arbitrary: fc.constantFrom<Fate>("refused", "answer lost", "slow") },
  ),
  { minLength: 1, maxLength: 60 },
);

test("whatever calls fail and wherever a drain ends, each line reaches its own patient's place, proven, and none is lost", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 14 }),
      fates,
      fc.integer({ min: 1, max: 90 }),
      async (steps, outcomes, callsMax) => {
        const log = ownLog();
        const events: AuditEvent[] = [];
        let [calls, isCalm] = [0, false];
        const receivers = new Receivers(() =>
          isCalm ? "stored" : (outcomes[calls++ % outcomes.length] ?? "stored"),
        );
        await runInDurableObject(shard(log), async (instance, { storage }) => {
          const fresh = () => new LedgerDrain(storage, config, log, receivers, callsMax);
          let one = fresh();
          const waiting = () =>
            storage.sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'lines'").toArray().length === 0
              ? 0
              : storage.sql.exec("SELECT frame FROM lines").toArray().length;
          for (const now of steps) {
            if ("append" in now) {
              const event = disclosureOf(now.append);
              events.push(event);
              await instance.append([event]);
            } else if ("restart" in now) one = fresh();
            else if ("meanwhile" in now) {
              const event = disclosureOf(now.meanwhile);
              events.push(event);
              await Promise.all([one.run(), scheduler.wait(1).then(() => instance.append([event]))]);
            } else if (waiting() > 0) {
              storage.sql.exec(
                "CREATE TRIGGER disk BEFORE DELETE ON lines BEGIN SELECT RAISE(ABORT, 'disk'); END",
              );
              await one.run();
              storage.sql.exec("DROP TRIGGER disk");
            }
          }
          isCalm = true;
          for (let ended = "more", runs = 0; ended !== "done" || waiting() > 0; runs++) {
            expect(runs).toBeLessThan(400);
            ended = await one.run();
          }
          const wanted = events
            .flatMap((event) => accountingLines(event, config.subjectKeys[0]))
            .map((line) => Buffer.from(line).toString("hex"));
          const stored = [...receivers.lines.values()];
          expect(stored).toHaveLength(wanted.length);
          expect(new Set(stored.map(({ content }) => Buffer.from(content).toString("hex")))).toEqual(
            new Set(wanted),
          );
          for (const { index, line, lines, content, salt, path } of stored) {
            const [bytes] = await instance.leaves([index]);
            const leaf = bytes && parseLeaf(bytes);
            const root = leaf?.ok === true ? leaf.value.linesRoot : new Uint8Array();
            expect(verifyInclusion(line, lines, lineCommitment(salt, content), path, root)).toBe(true);
          }
        });
      },
    ),
    { numRuns: 12 },
  );
});
