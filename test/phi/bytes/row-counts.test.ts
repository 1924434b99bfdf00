import { onTestFinished, test, vi } from "vitest";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { Discloser } from "#phi/disclose";
import { RowCounts, rowCounts } from "#phi/bytes/row-counts";
import { policy, rule } from "../../policy/granting.ts";
import { bases, grantUnder } from "../consented.ts";

test("the counts of rows come once a minute, if there are any", ({ expect }) => {
  const counts = new RowCounts();
  const none = { bytes: 0, form: 0, judgement: 0, versions: 0, deciding: 0, included: 0 };
  expect(counts.take(instant(1_000))).toBeUndefined();
  counts.count("bytes");
  counts.count("form");
  counts.count("bytes");
  expect(counts.take(instant(60_999)), "within the minute").toBeUndefined();
  expect(counts.take(instant(61_000))).toEqual({ ...none, bytes: 2, form: 1 });
  expect(counts.take(instant(121_000)), "no row since then").toBeUndefined();
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
