import { expect, test } from "vitest";
import { ignoredOutcomes, manifestOf, manifestsOf, type FinishedExport } from "#doors/bulk/manifest";
import { instant } from "#kernel/clock";

const base = "https://gateway.example/fhir/main";
const job = "0123456789abcdef0123456789abcdef";
const finished: FinishedExport = {
  job,
  base,
  request: `${base}/Group/payer-1/$export?_type=Patient`,
  startedAt: instant(Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
  output: [
    { type: "Patient", file: 1 },
    { type: "Observation", file: 2 },
    { type: "Observation", file: 3 },
  ],
  deleted: [4],
  error: [5],
  allowPartialManifests: false,
};
const many = Array.from({ length: 2_001 }, (_, at) => ({ type: "Observation", file: at + 1 }) as const);

test("a manifest names each file with its type, and the start of the export as its time", () => {
  expect(manifestOf(finished)).toEqual({
    transactionTime: "2026-01-02T03:04:05.006Z",
    request: finished.request,
    requiresAccessToken: true,
    output: [
      { type: "Patient", url: `${base}/$export-file/${job}/1` },
      { type: "Observation", url: `${base}/$export-file/${job}/2` },
      { type: "Observation", url: `${base}/$export-file/${job}/3` },
    ],
    deleted: [{ type: "Bundle", url: `${base}/$export-file/${job}/4` }],
    error: [{ type: "OperationOutcome", url: `${base}/$export-file/${job}/5` }],
  });
});

test("an export without files has empty lists", () => {
  expect(manifestOf({ ...finished, output: [], deleted: [], error: [] })).toMatchObject({
    output: [],
    deleted: [],
    error: [],
  });
});

test("a client that did not ask for several manifests gets every file in one", () => {
  const whole = { ...finished, output: many };
  expect(manifestsOf(whole)).toBe(1);
  expect(manifestOf(whole)).not.toHaveProperty("link");
  expect(manifestOf(whole)["output"]).toHaveLength(many.length);
});

test("pages of a manifest name each file once, and have every other member alike", () => {
  const paged = { ...finished, output: many, allowPartialManifests: true };
  const pages = Array.from({ length: manifestsOf(paged) }, (_, at) => manifestOf(paged, at + 1));
  expect(pages.length).toBeGreaterThan(1);
  expect(pages.flatMap(({ output }) => output)).toEqual(manifestOf({ ...finished, output: many })["output"]);
  expect(pages.flatMap(({ deleted }) => deleted)).toEqual(manifestOf(finished)["deleted"]);
  expect(pages.map(({ link }) => link)).toEqual([
    [{ relation: "next", url: `${base}/$export-status/${job}?page=2` }],
    [{ relation: "next", url: `${base}/$export-status/${job}?page=3` }],
    undefined,
  ]);
  for (const page of pages)
    expect({ ...page, output: [], deleted: [], link: [] }).toEqual({
      ...manifestOf(finished),
      output: [],
      deleted: [],
      link: [],
    });
});

test("no manifest has a number of rows", () => {
  expect(JSON.stringify(manifestOf({ ...finished, output: many }))).not.toContain('"count"');
});

test("each ignored parameter has an OperationOutcome of its own", () => {
  expect(ignoredOutcomes(["organizeOutputBy", "custom"]).map((line) => JSON.stringify(line))).toEqual([
    expect.stringContaining("The parameter organizeOutputBy is not supported and was ignored."),
    expect.stringContaining("The parameter custom is not supported and was ignored."),
  ]);
});
