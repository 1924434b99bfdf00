import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import type { AdminRefusal, RejectionReason } from "#admin/refusal";
import { renamedReasons } from "#audit/renamed-reasons";
import type { ExactFaces } from "#entrypoint/faces-of";
import type { RefusalRow } from "#entrypoint/public-face";
import { allRefusals } from "#entrypoint/all-refusals";
import { recordedOnly } from "#entrypoint/client-refusals";
import { problem } from "#admin/answer";
import { outcomeAnswer } from "#gateway/http/answer";
import { refusalsPage, storedPage } from "../../scripts/refusals-page.ts";

const rows: readonly (readonly [string, RefusalRow])[] = Object.entries(allRefusals);
const textsOf = ({ gateway, token, admin }: RefusalRow): readonly string[] =>
  [gateway?.text, token?.description, admin?.title].filter((text) => text !== undefined);

/**
 * Both differences are types that do not fit any table. The compiler checks these lines, and so the check
 * itself.
 */
type AdminReason = AdminRefusal["reason"] | RejectionReason;
const withoutRow: ExactFaces<"admin", AdminReason | "new_reason"> = { reasonsWithoutRow: "new_reason" };
const withoutReason: ExactFaces<"admin", Exclude<AdminReason, "role_missing">> = {
  rowsWithoutReason: "role_missing",
};

test("a reason without a row does not compile, nor a row without a reason", ({ expect }) => {
  expect([withoutRow, withoutReason]).toEqual([
    { reasonsWithoutRow: "new_reason" },
    { rowsWithoutReason: "role_missing" },
  ]);
});

test("each reason stands at most once in a table, so that no row hides another", ({ expect }) => {
  const sources = ["client-refusals", "operator-refusals"].map((name) =>
    readFileSync(join(import.meta.dirname, `../../src/entrypoint/${name}.ts`), "utf8"),
  );
  for (const [reason, row] of rows) {
    const name = new RegExp(`\\b${reason}\\b(?=:|")`, "gu");
    const times = sources.map((source) => source.match(name)?.length ?? 0);
    expect(
      [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
      reason,
    ).toContainEqual(times);
    expect(textsOf(row).length, reason).toBeGreaterThan(0);
  }
});

test("the answer of each reason that is 503 at a door says when to ask again", ({ expect }) => {
  const reasons: string[] = [];
  for (const [reason, { gateway, admin }] of rows) {
    const answers = [
      gateway && outcomeAnswer("1", gateway, "application/fhir+json"),
      admin && problem("1", admin),
    ].filter((answer) => answer?.status === 503);
    for (const answer of answers) expect(answer?.headers.get("retry-after"), reason).toMatch(/^[1-9]\d*$/u);
    if (answers.length > 0) reasons.push(reason);
  }
  expect(reasons).toEqual(expect.arrayContaining(["fault", "origin_busy", "review_unavailable"]));
});

test("each text says what to do next: a sentence with the fault and a sentence with the next step", ({
  expect,
}) => {
  const nextStep =
    /\b(?:Accept|Add|Amend|Ask|Change|Check|Choose|Connect|Correct|Create|Delete|Follow|Get|Give|Leave|Make|Name|Post|Read|Refer|Repeat|Search|See|Send|Sign|Split|Try|Use|Wait|Write)\b/u;
  for (const [reason, row] of rows) {
    for (const text of textsOf(row)) {
      expect(text, reason).toMatch(nextStep);
      expect(text, reason).toMatch(/^[A-Z].*\.$|^(?:grant_type|purpose_of_use|scope|token) .*\.$/u);
    }
  }
});

test("a description of the token endpoint keeps to the characters of RFC 6749 §5.2", ({ expect }) => {
  for (const [reason, { token }] of rows)
    expect(token?.description ?? "", reason).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/u);
});

test("a client that does not prove itself reads one text, whatever failed", ({ expect }) => {
  // errors of the form itself
  const ofRequest = ["client_authentication_missing", "client_authentication_not_supported"];
  const faces = rows.filter(
    ([reason, { token }]) => token?.error === "invalid_client" && !ofRequest.includes(reason),
  );
  expect(faces.length).toBeGreaterThan(25);
  expect(new Set(faces.map(([, { token }]) => JSON.stringify(token))).size).toBe(1);
});

test("an operator's certificate that was presented and is not accepted has one text", ({ expect }) => {
  const {
    certificate_unverified: unverified,
    certificate_revoked,
    certificate_denied,
    operator_unknown,
  } = allRefusals;
  for (const row of [certificate_revoked, certificate_denied, operator_unknown])
    expect(row.admin).toEqual(unverified.admin);
});

test("no reason has an old name, and every old name leads to a reason of this version", ({ expect }) => {
  const current = new Set([...Object.keys(allRefusals), ...Object.keys(recordedOnly)]);
  for (const [old, now] of renamedReasons) {
    expect(current.has(now), now).toBe(true);
    expect(current.has(old), old).toBe(false);
    expect(renamedReasons.has(now), now).toBe(false);
  }
});

test("docs/refusals.md is what the table says: npm run generate writes it", ({ expect }) => {
  expect(storedPage()).toBe(refusalsPage);
});
