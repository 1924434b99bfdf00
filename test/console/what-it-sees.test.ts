import { readFileSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { test } from "vitest";
import { whatItSees } from "#console/what-it-sees";

const now = instant(Date.parse("2026-06-01T00:00:00Z"));
const policy = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../policies/${name}.json`), "utf8"));

test("a payer sees the value of a laboratory result and not its note, and the page says why", ({
  expect,
}) => {
  const seen = whatItSees({ scopes: "system/*.rs", purpose: "HPAYMT" }, policy("hpaymt"), now);
  const sample = seen.ok ? seen.value.samples.find(({ type }) => type === "Observation") : undefined;
  expect(sample?.kept).toEqual([]);
  const fates = new Map(sample?.elements.map(({ path, fate }) => [path, fate]));
  expect(fates.get("valueQuantity")).toBe("shown");
  expect(fates.get("note")).toBe("removed");
});

test("a type without a rule or without a scope is kept back, with the reason", ({ expect }) => {
  const office = whatItSees({ scopes: "system/*.rs", purpose: "HOPERAT" }, policy("privacy-office"), now);
  const narrow = whatItSees({ scopes: "system/Patient.rs", purpose: "HPAYMT" }, policy("hpaymt"), now);
  for (const seen of [office, narrow]) {
    const [patient, condition] = seen.ok ? seen.value.samples : [];
    expect(patient?.kept).toEqual([]);
    expect(condition?.after).toBeUndefined();
    expect(condition?.kept.length).toBeGreaterThan(0);
  }
});

test("every type and element of a payer's rules is listed, and its record numbers are no removed element", ({
  expect,
}) => {
  const body = policy("hpaymt") as { readonly rules: readonly { types: string[]; show: string[] }[] };
  const seen = whatItSees({ scopes: "system/*.rs", purpose: "HPAYMT" }, body, now);
  const { granted, samples } = seen.ok ? seen.value : { granted: [], samples: [] };
  const listed = Map.groupBy(granted, ({ type }) => type);
  expect([...listed.keys()].toSorted()).toEqual(
    [...new Set(body.rules.flatMap(({ types }) => types))].toSorted(),
  );
  for (const { types, show } of body.rules)
    for (const type of types) {
      const paths = listed.get(type)?.flatMap(({ elements }) => elements.map(({ path }) => path));
      for (const path of show.flatMap(singly)) expect(paths, `${type}.${path}`).toContain(path);
    }
  const patient = samples.find(({ type }) => type === "Patient");
  const fates = patient?.elements.map(({ path, fate, why }) => [path, fate, why].join(" "));
  expect(fates).toContain("identifier partly ");
  expect(fates).toContain("identifier[1] removed it is in none of the shown slices");
  expect(JSON.stringify(patient?.after)).toContain("MRN-0042");
});

/** A path with a slice of several systems as one path for each system. */
function singly(path: string): readonly string[] {
  const [, before, systems, after] = /^(.*\[system=)([^\]]*)(\].*)$/u.exec(path) ?? [];
  return systems === undefined ? [path] : systems.split(",").map((system) => `${before}${system}${after}`);
}

test("scopes and a form narrow the list: no type without a scope, no element that the form removes", ({
  expect,
}) => {
  const narrow = whatItSees({ scopes: "system/Patient.r", purpose: "HPAYMT" }, policy("hpaymt"), now);
  const [only, ...more] = narrow.ok ? narrow.value.granted : [];
  expect(only).toMatchObject({ type: "Patient", interactions: ["read"] });
  expect(more).toEqual([]);
  const body = policy("hresch-safe-harbor");
  const formed = whatItSees({ scopes: "system/*.rs", purpose: "HRESCH" }, body, now);
  const patient = formed.ok ? formed.value.granted.find(({ type }) => type === "Patient") : undefined;
  const why = new Map(patient?.elements.map((element) => [element.path, element.why]));
  expect([...why.keys()].filter((path) => /^(?:name|telecom|identifier)/u.test(path))).toEqual([]);
  expect(why.get("birthDate")).toBe("year, (C): The year stays, unless the year tells an age over 89.");
  expect(why.get("active")).toBe("");
});

test("a body that is no policy shows nothing", ({ expect }) => {
  expect(whatItSees({ scopes: "system/*.rs", purpose: "TREAT" }, undefined, now)).toMatchObject({
    ok: false,
  });
});

test("a researcher sees samples in the form of the policy, each change with its paragraph", ({ expect }) => {
  const seen = whatItSees({ scopes: "system/*.rs", purpose: "HRESCH" }, policy("hresch-safe-harbor"), now);
  const sample = seen.ok ? seen.value.samples.find(({ type }) => type === "Patient") : undefined;
  const left = JSON.stringify(sample?.after);
  expect(sample?.kept).toEqual([]);
  expect(left).not.toMatch(/family|telecom|-\d{2}-\d{2}/u);
  const why = new Map(sample?.elements.map(({ path, fate, why: words }) => [path, `${fate}: ${words}`]));
  expect(why.get("name")).toBe("removed: out, (A): A name.");
  expect(why.get("birthDate")).toBe(
    "changed: year, (C): The year stays, unless the year tells an age over 89.",
  );
});
