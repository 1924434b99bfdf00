import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { r4ResourceTypes } from "#fhir/r4/elements";
import { noSharedData, resourcesIn } from "../phi/shared-data.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { startVerbatimOrigin, type Verbatim } from "../support/verbatim-origin.ts";
import { policyEntry, rule } from "../policy/granting.ts";

const folders = ["examples-r4", "us-core"].map((name) =>
  join(import.meta.dirname, "../../../shared/data/fhir", name),
);

const packed = (text: string) => text.replaceAll(/(?<string>"(?:[^"\\]|\\.)*")|\s+/gu, "$<string>");

/**
 * The examples as written, except for white space between tokens. If two have one id, the later example
 * counts.
 */
function examples(): readonly Verbatim[] {
  const all = new Map<string, Verbatim>();
  for (const folder of noSharedData ? [] : folders)
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".json"))) {
      const text = packed(readFileSync(join(folder, file), "utf8"));
      const { resourceType: type, id }: { resourceType: string; id?: string } = JSON.parse(text);
      if (id !== undefined) all.set(`${type}/${id}`, { type, id, text });
    }
  return [...all.values()];
}

/** Two patients' records, most of them with the labels of DS4P. */
const labelled: readonly Verbatim[] = (noSharedData ? [] : resourcesIn("ds4p-labelled-bundles")).flatMap(
  (bundle) => {
    const entry: readonly { readonly resource: { readonly resourceType: string; readonly id: string } }[] =
      JSON.parse(JSON.stringify(bundle)).entry;
    return entry.map(({ resource }) => ({
      type: resource.resourceType,
      id: resource.id,
      text: JSON.stringify(resource),
    }));
  },
);

// The rows of the two patients with a label beyond N (normal). They are withheld until a service exists that
// weighs labels.
const sensitive = `Observation:SexualOrientation,OBHx,LMP Condition:IrregularPeriods,Chlamydia,MedicalAbortion,DandCAbortion Procedure:DandCProcedure
  DiagnosticReport:GCNAAT,HIVELISA,FirstTrimesterUS,QuadScreen MedicationRequest:Loestrin,Azithromycin,Descovy,Mifepristone,Misoprostol`;
const withheld = new Set(
  sensitive.split(/\s+/u).flatMap((ofType) => {
    const [type = "", names = ""] = ofType.split(":");
    return names
      .split(",")
      .flatMap((name) => ["SteffiRambeau16", "MonicaRambeau"].map((whose) => `${type}/${whose}${name}`));
  }),
);

/** A Bundle's total would count withheld rows, so it never leaves when the Bundle is read. */
const asItLeaves = ({ type, text }: Verbatim) =>
  type === "Bundle" ? text.replace(/"total":\d+,/u, "") : text;

/** The URL of a Binary leaves as a link (docs/notes.md). */
const linked = (text: string): string => text.replaceAll(/"Binary\/[\w-]+"/gu, '"Binary/link"');

const policy = policyEntry("whole", [rule([...r4ResourceTypes], "everything")]);

describe.skipIf(noSharedData)(
  "with a keep-everything policy and full scope (skipped when ../shared/data is absent)",
  () => {
    const all = examples();
    let origin: Awaited<ReturnType<typeof startVerbatimOrigin>>;
    let phylax: Door;
    let askApp: AskAs<"whole">;
    beforeAll(async () => {
      origin = await startVerbatimOrigin([...all, ...labelled]);
      phylax = await startDoor({ origin: origin.url });
      const whole = { purpose: "TREAT", policy: "whole", scopes: "system/*.rs" };
      askApp = await outsideApps(phylax, { whole }, [policy]);
    }, 120_000);
    afterAll(async () => {
      await phylax.close();
      await origin.close();
    });
    const ask = (path: string) => askApp("whole", path);

    test("each R4 and US Core example is read byte for byte, including decimals; of a Bundle without its total", async ({
      expect,
    }) => {
      for (const example of all) {
        const reply = await ask(`${example.type}/${example.id}`);
        expect(linked(reply.text), `${example.type}/${example.id} ${reply.status}`).toBe(
          linked(asItLeaves(example)),
        );
      }
      expect(all.length).toBeGreaterThan(140);
      expect(all.filter((example) => asItLeaves(example) !== example.text).map(({ id }) => id)).toEqual([
        "66c8856b-ba11-4876-8aa8-467aad8c11a2",
        "allergyintolerance-provenance-example2",
      ]);
      // decimals that a number would not preserve
      expect(all.some(({ text }) => /\d\.\d*0[,}\]]/u.test(text))).toBe(true);
    });

    test("and is found byte for byte among the rows of its type", async ({ expect }) => {
      for (const [type, ofType] of Map.groupBy(all, (one) => one.type)) {
        const { text } = await ask(`${type}?_count=1000`);
        for (const example of ofType)
          expect(linked(text).includes(linked(asItLeaves(example))), `${type}/${example.id}`).toBe(true);
      }
    });

    test("labelled records without a label beyond normal leave; the remaining records are listed here and are absent", async ({
      expect,
    }) => {
      const absent = (await ask("Condition/nothing")).text.replaceAll(/[0-9a-f]{32}/gu, "");
      const missing: string[] = [];
      for (const { type, id, text } of labelled) {
        const reply = await ask(`${type}/${id}`);
        if (reply.status === 200) expect(reply.text, id).toBe(text);
        else missing.push(`${type}/${id}`);
        if (reply.status !== 200) expect(reply.text.replaceAll(/[0-9a-f]{32}/gu, ""), id).toBe(absent);
      }
      expect(new Set(missing)).toEqual(withheld);
      const found = await ask("Condition?_count=1000");
      for (const name of withheld) expect(found.text, name).not.toContain(`${phylax.dev.fhir}/${name}"`);
    });
  },
);
