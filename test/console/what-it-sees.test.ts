import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { whatItSees } from "#console/what-it-sees";

const policy = (name: string): unknown =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../policies/${name}.json`), "utf8"));

test("a payer sees the value of a laboratory result and not its note, and the page says why", ({
  expect,
}) => {
  const seen = whatItSees({ scopes: "system/*.rs", purpose: "HPAYMT" }, policy("hpaymt"));
  const sample = seen.ok ? seen.value.find(({ type }) => type === "Observation") : undefined;
  expect(sample?.kept).toEqual([]);
  const fates = new Map(sample?.elements.map(({ path, fate }) => [path, fate]));
  expect(fates.get("valueQuantity")).toBe("shown");
  expect(fates.get("note")).toBe("removed");
});

test("a type without a rule or without a scope is kept back, with the reason", ({ expect }) => {
  const office = whatItSees({ scopes: "system/*.rs", purpose: "HOPERAT" }, policy("privacy-office"));
  const narrow = whatItSees({ scopes: "system/Patient.rs", purpose: "HPAYMT" }, policy("hpaymt"));
  for (const seen of [office, narrow]) {
    const [patient, condition] = seen.ok ? seen.value : [];
    expect(patient?.kept).toEqual([]);
    expect(condition?.after).toBeUndefined();
    expect(condition?.kept.length).toBeGreaterThan(0);
  }
});

test("a body that is no policy shows nothing", ({ expect }) => {
  expect(whatItSees({ scopes: "system/*.rs", purpose: "TREAT" }, undefined)).toMatchObject({ ok: false });
});
