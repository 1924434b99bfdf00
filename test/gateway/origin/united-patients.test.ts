import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import type { OriginQuestion } from "#fhir/ports";
import { unitedPatients } from "#gateway/origin/united-patients";
import { parseScopes } from "#identity/scopes";
import { err, ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { parsePolicyDocument } from "#policy/document";
import { evaluateAccounting } from "#policy/evaluate-accounting";
import { sessionOf } from "../../support/origin-session.ts";

const document = parsePolicyDocument(
  JSON.parse(readFileSync(join(import.meta.dirname, "../../../policies/privacy-office.json"), "utf8")),
);
const scopes = parseScopes("system/*.rs");
if (!document.ok || !scopes.ok) throw new Error("a test's own mistake");
const access = { scopes: scopes.value, patient: "p0", usersPatients: new Set<string>() };
const grant = evaluateAccounting(compilePolicy(document.value, "privacy-office"), access, {
  purpose: "HOPERAT",
  asked: { id: "p0" },
});
if (!grant.ok) throw new Error(grant.error.reason);
const granted = grant.value;

async function* body(resource: object) {
  yield ok(new TextEncoder().encode(JSON.stringify(resource)));
}

/**
 * The records that are united with p0 at an origin with these links, and the number of records that were
 * read.
 */
async function united(
  links: Readonly<Record<string, readonly string[]>>,
  meta: Readonly<Record<string, object>> = {},
  by = granted,
) {
  const read: string[] = [];
  const ask = async (question: OriginQuestion) => {
    const id = "path" in question ? (question.path.split("/")[1] ?? "") : "";
    read.push(id);
    const own = links[id];
    if (own === undefined) return err({ reason: "absent" as const });
    const link = own.map((other) => ({ type: "replaces", other: { reference: `Patient/${other}` } }));
    return ok({
      kind: "answered" as const,
      base: "https://origin.internal/fhir",
      body: body({ resourceType: "Patient", id, meta: meta[id], link }),
    });
  };
  const found = await unitedPatients("p0", by, sessionOf(ask));
  return found.ok ? { ...found.value, reads: read.length } : found.error.reason;
}
test("records that link to each other are of the same individual, also through a third record; a link in one direction does not count", async ({
  expect,
}) => {
  const links = {
    p0: ["p1", "stranger", "gone"],
    p1: ["p0", "p2"],
    p2: ["p1", "stranger"],
    stranger: ["p9"],
  };
  expect(await united(links)).toEqual({ ids: ["p0", "p1", "p2"], isWhole: false, reads: 5 });
  expect(await united({ p0: ["p1"], p1: ["p0", "p2"], p2: ["p1"] })).toMatchObject({
    ids: ["p0", "p1", "p2"],
    isWhole: true,
  });
});

test("an absent record and a hidden record each have an accounting of their own, and both answers are the same", async ({
  expect,
}) => {
  const labelled = [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }];
  const absent = await united({});
  expect(absent).toEqual({ ids: ["p0"], isWhole: false, reads: 1 });
  expect(await united({ p0: ["p1"], p1: ["p0"] }, { p0: { security: labelled } })).toEqual(absent);
});

test("links to an absent record, to a hidden record and to a record that does not link back have the same answer", async ({
  expect,
}) => {
  const labelled = [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }];
  const alone = { ids: ["p0"], isWhole: false, reads: 2 };
  expect(await united({ p0: ["p1"] })).toEqual(alone);
  expect(await united({ p0: ["p1"], p1: [] })).toEqual(alone);
  expect(await united({ p0: ["p1"], p1: ["p0"] }, { p1: { security: labelled } })).toEqual(alone);
});

test("a policy that shows some Patients only is asked by the row: then one that is not there, or not shown, is nobody", async ({
  expect,
}) => {
  const some = { ...granted, needsRow: true };
  expect(await united({}, {}, some)).toBe("absent");
  expect(await united({ p0: [] }, { p0: { security: [{ code: "x" }] } }, some)).toBe("row_outside_access");
  expect(await united({ p0: [] }, {}, some)).toMatchObject({ ids: ["p0"], isWhole: true });
});

test("an origin that does not answer is asked again later: no accounting lacks another record's lines for it", async ({
  expect,
}) => {
  const down = () => Promise.resolve(err({ reason: "origin_unreachable" as const }));
  const found = await unitedPatients("p0", granted, sessionOf(down));
  expect(found).toEqual({ ok: false, error: { reason: "origin_unreachable" } });
});

test("a record with thousands of links has the origin asked 64 times, and it is said that there may be more", async ({
  expect,
}) => {
  const strangers = Array.from({ length: 3_000 }, (_, i) => `s${i}`);
  const links = Object.fromEntries(strangers.map((id): [string, string[]] => [id, []]));
  expect(await united({ ...links, p0: ["p1", ...strangers], p1: ["p0"] })).toEqual({
    ids: ["p0", "p1"],
    isWhole: false,
    reads: 65,
  });
  expect(await united({ p0: Array.from({ length: 3_000 }, () => "s"), s: [] })).toEqual({
    ids: ["p0"],
    isWhole: false,
    reads: 2,
  });
});

test("the accounting of more than sixteen records says that there are more", async ({ expect }) => {
  const chain = (length: number) =>
    Object.fromEntries(
      Array.from({ length }, (_, i): [string, string[]] => [
        `p${i}`,
        [`p${i + 1}`, `p${i - 1}`].filter((id) => id !== `p${length}` && id !== "p-1"),
      ]),
    );
  expect(await united(chain(16))).toMatchObject({ isWhole: true, ids: { length: 16 } });
  expect(await united(chain(17))).toMatchObject({ isWhole: false, ids: { length: 16 } });
});
