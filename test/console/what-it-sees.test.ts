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
  const sample = seen.ok ? seen.value.find(({ type }) => type === "Observation") : undefined;
  expect(sample?.kept).toEqual([]);
  const fates = new Map(sample?.elements.map(({ path, fate }) => [path, fate]));
  expect(fates.get("valueQuantity")).toBe("shown");
  expect(fates.get("note")).toBe("removed");
});

test("a type without a rule or without a scope is kept back, with the reason", ({ expect }) => {
  const office = whatItSees({ scopes: "system/*.rs", purpose: "HOPERAT" }, policy("privacy-office"), now);
  const narrow = whatItSees({ scopes: "system/Patient.rs", purpose: "HPAYMT" }, policy("hpaymt"), now);
  for (const seen of [office, narrow]) {
    const [patient, condition] = seen.ok ? seen.value : [];
    expect(patient?.kept).toEqual([]);
    expect(condition?.after).toBeUndefined();
    expect(condition?.kept.length).toBeGreaterThan(0);
  }
});

test("a body that is no policy shows nothing", ({ expect }) => {
  expect(whatItSees({ scopes: "system/*.rs", purpose: "TREAT" }, undefined, now)).toMatchObject({
    ok: false,
  });
});

test("a researcher sees samples in the form of the policy, each change with its paragraph", ({ expect }) => {
  const seen = whatItSees({ scopes: "system/*.rs", purpose: "HRESCH" }, policy("hresch-safe-harbor"), now);
  const sample = seen.ok ? seen.value.find(({ type }) => type === "Patient") : undefined;
  const left = JSON.stringify(sample?.after);
  expect(sample?.kept).toEqual([]);
  expect(left).not.toMatch(/family|telecom|-\d{2}-\d{2}/u);
  const why = new Map(sample?.elements.map(({ path, fate, why: words }) => [path, `${fate}: ${words}`]));
  expect(why.get("name")).toBe("removed: out, (A): A name.");
  expect(why.get("birthDate")).toBe(
    "changed: year, (C): The year stays, unless the year tells an age over 89.",
  );
});
