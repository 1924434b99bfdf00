import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { payloadNames, sampleResources, writePayloads, type PayloadName } from "../../bench/data/payloads.ts";
import { redactSubjects } from "../../bench/redact/cases.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-payloads-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const shared = join(import.meta.dirname, "../../../shared/data/fhir");

const sizes: Partial<Record<PayloadName, number>> = { "2k": 2_048, "60k": 60_000, half: 60_000 };

for (const [name, place] of [
  ["Synthea", shared],
  ["the project's own synthetic data", join(folder, "absent")],
] as const)
  test.skipIf(name === "Synthea" && !existsSync(shared))(
    `payloads from ${name} have the sizes that they are named by, for 200 patients or on 20 pages`,
    async ({ expect }) => {
      const sample = await sampleResources(place);
      expect(sample.source).toContain(name);
      const { payloads } = writePayloads(folder, sample);
      expect(payloads.map((payload) => payload.name)).toEqual(payloadNames);
      for (const { name, origin, paths, originBytes } of payloads) {
        const bytes = sizes[name];
        expect(new Set(paths).size).toBe(bytes === undefined ? 20 : 200);
        expect(origin).toBe(name.startsWith("consents") ? "consents" : "main");
        if (bytes === undefined) continue;
        expect(originBytes / bytes).toBeGreaterThan(0.95);
        expect(originBytes / bytes).toBeLessThan(1.2);
      }
      const answers: readonly (readonly [string, string])[] = JSON.parse(
        readFileSync(join(folder, "answers.json"), "utf8"),
      );
      const half = answers.find(([path]) => path === payloads[2]?.paths[0])?.[1] ?? "";
      const [hidden, shown] = [half.split('"vital-signs"').length, half.split('"laboratory"').length];
      expect(hidden / shown).toBeGreaterThan(0.8);
      for (const [name, { body }] of Object.entries(redactSubjects(sample)))
        expect(body.length, name).toBeGreaterThan(
          name === "1500k" ? 1_300_000 : name === "2k" ? 1_900 : 57_000,
        );
    },
  );
