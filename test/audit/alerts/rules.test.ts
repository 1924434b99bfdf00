import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { eachRule, failures } from "#audit/alerts/rules";
import { allRefusals } from "#entrypoint/all-refusals";
import type { RefusalRow } from "#entrypoint/public-face";
import { observability, storedObservability } from "../../../scripts/observability.ts";

/** Answered 5xx, and yet the doing of the request or of its moment: a smaller request, or the next, is answered. */
const ownDoing = ["answer_incomplete", "answer_too_large", "consent_changed", "origin_answer_too_large"];

test("each reason that is answered 5xx is a failure of the gateway, of an origin, or the request's own doing", ({
  expect,
}) => {
  const rows: readonly (readonly [string, RefusalRow])[] = Object.entries(allRefusals);
  const answered5xx = rows.flatMap(([reason, { gateway }]) =>
    (gateway?.status ?? 0) >= 500 ? [reason] : [],
  );
  const { gateway, origin, late } = failures;
  expect([...gateway, ...origin, ...ownDoing].sort()).toEqual(answered5xx.sort());
  expect(origin).toEqual(expect.arrayContaining([...late]));
});

test("each alert names a section of the runbook", ({ expect }) => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/runbook.md"), "utf8");
  const anchors = Array.from(page.matchAll(/^###? (?<title>.+)$/gmu), ([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w -]/gu, "")
      .replaceAll(" ", "-"),
  );
  for (const [id, { runbook }] of eachRule) expect(anchors, id).toContain(runbook);
});

test("deploy/observability has the rules and panels of the present tables", ({ expect }) => {
  for (const [name, text] of Object.entries(observability)) expect(storedObservability(name)).toBe(text);
});
