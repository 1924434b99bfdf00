import { onTestFinished, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { Discloser } from "#phi/disclose";
import { RowCounts, rowCounts } from "#phi/bytes/row-counts";
import { policy, rule } from "../../policy/granting.ts";
import { bases, grantUnder } from "../consented.ts";

test("a row is handed on once", ({ expect }) => {
  const counts = new RowCounts();
  for (const way of ["bytes", "form", "bytes"] as const) counts.count(way);
  expect(Object.fromEntries(counts.take())).toEqual({ bytes: 2, form: 1 });
  expect(counts.take().size).toBe(0);
});

test("each row counts once, by the way in which it is judged", ({ expect }) => {
  const spy = vi.spyOn(rowCounts, "count");
  onTestFinished(() => spy.mockRestore());
  const scene = { policy: policy(rule(["Observation"], "everything")), consents: [] };
  const row = (more: object = {}) =>
    utf8(JSON.stringify({ resourceType: "Observation", id: "o", meta: { versionId: "1" }, ...more }));
  const entry = (more: object = {}) => {
    const resource = new TextDecoder().decode(row(more));
    return utf8(`{"resource":${resource},"search":{"mode":"match"}}`);
  };
  const page = new Discloser(grantUnder(scene, "Observation?code=x"), bases);
  const code = { code: { coding: [{ code: "x" }] } };
  const label = {
    url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
  };
  for (const more of [code, code, { ...code, extension: [label] }]) page.entry(entry(more), "Observation");
  new Discloser(grantUnder(scene, "Observation/o"), bases).read(row(), "Observation", "o");
  const version = { type: "Observation", id: "o", version: "1" };
  new Discloser(grantUnder(scene, "Observation/o/_history/1"), bases).version(row(), row(), version);
  page.seen({ resourceType: "Observation", id: "o", ...code });
  expect(spy.mock.calls.flat()).toEqual(["bytes", "bytes", "form", "bytes", "versions", "deciding"]);
});
