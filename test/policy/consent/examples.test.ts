import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import * as z from "zod";
import { resource, verdict } from "./scene.ts";

const data = join(import.meta.dirname, "../../../../shared/data/fhir");
const folder = join(data, "ihe-pcf");
const cases = z.object({
  at: z.string(),
  rows: z.record(z.string(), z.looseObject({})),
  cases: z.array(
    z.object({
      consent: z.string(),
      request: z.object({ purpose: z.string(), actors: z.array(z.string()), at: z.string().optional() }),
      changed: z.looseObject({}).optional(),
      verdict: z.string(),
      rows: z.array(z.object({ row: z.string(), verdict: z.string() })),
      why: z.string(),
    }),
  ),
});
const json = (file: string): object => z.looseObject({}).parse(JSON.parse(readFileSync(file, "utf8")));

test.skipIf(!existsSync(folder))(
  "each example of IHE's Privacy Consent on FHIR has the verdict of IHE's notes, row by row (needs ../shared/data)",
  ({ expect }) => {
    const { at, rows, cases: all } = cases.parse(json(join(folder, "verdicts.json")));
    for (const { consent, request, changed, rows: expected, why } of all) {
      const document = resource({ ...json(join(folder, `${consent}.json`)), ...changed });
      const asking = { purpose: request.purpose, who: request.actors, at: request.at ?? at };
      const found = expected.map(({ row }) => ({
        row,
        verdict: verdict(document, asking, resource(rows[row])),
      }));
      expect(found, `${consent}, ${request.purpose}: ${why}`).toEqual(expected);
    }
  },
);

test.skipIf(!existsSync(join(data, "examples-r4")))(
  "HL7's own examples never permit more than their prose: an ambiguous root denies (needs ../shared/data)",
  ({ expect }) => {
    const example = (name: string) =>
      resource(json(join(data, "examples-r4", `Consent-consent-example-${name}.json`)));
    const asking = { who: ["Practitioner/p", "Organization/f001"] };
    expect({
      notOrg: verdict(example("notOrg"), asking),
      notOrgForOthers: verdict(example("notOrg"), { who: ["Organization/f002"] }),
      notThis: verdict(example("notThis"), asking),
      notAuthor: verdict(example("notAuthor"), { ...asking, holder: ["Organization/f001"] }),
      notTime: verdict(example("notTime"), asking),
      notTimeInForce: verdict(example("notTime"), { ...asking, at: "2015-01-15T12:00:00Z" }),
      emergency: verdict(example("Emergency"), { ...asking, purpose: "ETREAT" }),
      emergencyForTreatment: verdict(example("Emergency"), asking),
      signature: verdict(example("signature"), asking),
    }).toEqual({
      notOrg: "deny",
      notOrgForOthers: "silent",
      notThis: "deny",
      notAuthor: "deny",
      notTime: "silent",
      notTimeInForce: "deny",
      emergency: "deny",
      emergencyForTreatment: "deny",
      signature: "silent",
    });
  },
);

test.skipIf(!existsSync(join(data, "fast-consent")))(
  "a Consent of HL7 FAST permits the organization that its identifier names (needs ../shared/data)",
  ({ expect }) => {
    const document = resource(json(join(data, "fast-consent/Consent-ConsentExample.json")));
    const npi = "http://hl7.org/fhir/sid/us-npi";
    expect(verdict(document, { who: [`${npi}|1234567893`] })).toBe("permit");
    expect(verdict(document, { who: [`${npi}|9999999999`] })).toBe("silent");
    expect(verdict(document, { who: ["Organization/unknown"] })).toBe("silent");
  },
);

test.skipIf(!existsSync(folder))(
  "IHE's rejections and dissent deny a plain row, and no further example does (needs ../shared/data)",
  ({ expect }) => {
    for (const file of readdirSync(folder).filter((name) => /^ex-.*consent|dissent/u.test(name))) {
      const denied = verdict(resource(json(join(folder, file)))) === "deny";
      expect([file, denied]).toEqual([file, /reject|dissent/u.test(file)]);
    }
  },
);
