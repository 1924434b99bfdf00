import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { accountingLines, readLine } from "#audit/accounting/line";
import type { FoundLine } from "#audit/accounting/disclosures";
import { accountingBundle } from "#audit/accounting/fhir";
import { accountingCsv } from "#audit/accounting/csv";
import { english } from "#audit/accounting/page/english";
import { accountingPage } from "#audit/accounting/page/html";
import { type Accounting, composeAccounting } from "#audit/accounting/compose";
import { utf8 } from "#kernel/encoded";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { lineSalt, linesRoot } from "#ledger/leaf/lines";
import { leafHash, nodeHash } from "#ledger/tlog/merkle";
import { verifierKey } from "#ledger/tlog/signed-note";
import { config } from "../ledger/sample-log.ts";
import { disclosure, logKey, logOfEvents, writeLog } from "./auditor-log.ts";
import { phylax } from "./phylax.ts";

const folder = mkdtempSync(join(tmpdir(), "phylax-accounting-"));
afterAll(() => rmSync(folder, { recursive: true }));

const event = disclosure(1, "public-health", { amara: { Patient: 1 } }, { why: { purposes: ["PUBHLTH"] } });
const [seed, contents] = [new Uint8Array(32).fill(7), accountingLines(event, config.subjectKeys[0])];
/** A log with the line in its third leaf. */
const logOfLine = () => logOfEvents([[event]], () => linesRoot(seed, contents));
const log = await logOfLine();
const [first = seed, second = seed, leaf = seed] = log.leaves;
const path = [nodeHash(leafHash(first), leafHash(second))];
const note = utf8(inclusionNote(2, path, fromUtf8(log.objects.get("checkpoint") ?? new Uint8Array()) ?? ""));
const found: FoundLine = {
  patient: "main/Patient/amara",
  log: "s0-2026h2",
  index: 2,
  line: 0,
  lines: 1,
  content: contents[0] ?? seed,
  salt: lineSalt(seed, 0),
  path: [],
  proven: { leaf, note },
};
const facts = {
  recipients: { "public-health": { name: "Department, of\nHealth" } },
  agreements: {},
  entity: undefined,
  ledger: undefined,
  zone: "UTC",
  protocols: [],
};
const pageOf = (accounting: Accounting) =>
  accountingPage(
    accounting,
    { person: undefined, maker: undefined, ledger: undefined, at: 0, zone: "America/New_York" },
    english,
  );
const period = { patient: "Patient/amara", isWhole: true, from: "2020-11-26", to: "2026-11-26", all: true };
const told = (
  lines: readonly FoundLine[],
  changes: { readonly summed?: boolean; readonly next?: string } = {},
) =>
  composeAccounting(lines, facts, { ...period, summed: false, isFirst: true, next: undefined, ...changes });
const place = { self: "https://gateway.test/x", site: "main", requestId: "0" };
const forms: readonly (readonly [string, (accounting: Accounting) => string])[] = [
  ["FHIR", (accounting) => JSON.stringify(accountingBundle(accounting, place))],
  ["CSV", accountingCsv],
  ["the page", pageOf],
  [
    "CSV that a spreadsheet saved again",
    (accounting) => `\uFEFF${accountingCsv(accounting).replaceAll("\r\n", "\n")}`,
  ],
];

async function check(text: string, ...keys: readonly string[]) {
  const file = join(folder, "saved");
  writeFileSync(file, text);
  return phylax("accounting", "check", file, ...(keys.length > 0 ? keys : ["--key", logKey]));
}

test.for(forms)(
  "%s: each line is proven, and a line that shows more or less than it proves is named",
  async ([, written], { expect }) => {
    const text = written(told([found]));
    const good = await check(text);
    expect([good.code, good.error]).toEqual([0, ""]);
    expect(good.out).toMatch(
      /^s0-2026h2\/2\/0: good: .*, to public-health, for PUBHLTH, Patient 1\n1 of 1 lines are proven/u,
    );
    for (const [from, to] of [
      ["Patient 1", "Patient 1; Condition 4"],
      ["Patient 1", "Patient 11"],
      ["PUBHLTH", "TREAT"],
      ["public-health", "public-health-2"],
      ["2026-10-01T12:01:00", "2026-10-02T12:01:00"],
    ] as const) {
      const shown = await check(text.replaceAll(from, to));
      expect(shown, `${from} as ${to}`).toMatchObject({
        code: 1,
        out: expect.stringContaining("WRONG: shows something else than it proves"),
      });
    }
    const none = await check(written(told([])));
    expect([none.code, none.out]).toEqual([
      0,
      "0 of 0 lines are proven; no proof shows that no line is missing\n",
    ]);
  },
);

test("a file that is not an accounting is misuse, and not an accounting without a wrong line", async ({
  expect,
}) => {
  for (const text of [
    "",
    "# Phylax\n",
    "{}",
    '{"type":"searchset","entry":5}',
    "{",
    "time,recipient\r\n",
    "<!doctype html><tr><td>x</tr>",
    "[".repeat(99_999),
  ])
    expect(await check(text), text.slice(0, 20)).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringContaining("ot an accounting of disclosures"),
    });
  expect(await phylax("accounting", "check", join(folder, "nowhere"), "--key", logKey)).toMatchObject({
    code: 2,
    out: "",
  });
  expect(
    (
      await check(
        '{"type":"searchset","entry":[null,{"resource":null},{"resource":{"resourceType":"AuditEvent","entity":[3]}}]}',
      )
    ).code,
  ).toBe(1);
});

test("a line in a place that the check does not read makes the file invalid", async ({ expect }) => {
  const [page, table] = [pageOf(told([found])), accountingCsv(told([found]))];
  expect(page).toContain("<dd>Patient 1</dd>");
  const row = '<tr class="x"><th>2026-10-01T12:01:00.000Z</th><td>payer</td></tr>';
  for (const text of [
    page.replace("</tr></tbody>", `</tr>${row}</tbody>`),
    page.replace("</table>", `</table><table>${row}</table>`),
    page.replace("<dd>Patient 1</dd>", "<dd>Patient 1<br>Condition 4</dd>"),
    table.replace("\r\n2026", '\r\n"x"y\r\n2026'),
    `${table}${'"'.repeat(1_000_001)}`,
  ])
    expect(await check(text)).toMatchObject({ code: 2, out: "" });
});

test("the root log's key is every log's, and a line of another ledger is not proven", async ({ expect }) => {
  const text = accountingCsv(told([found]));
  const root = verifierKey("ledger.test/root", config.checkpointPublicKey);
  expect((await check(text, "--key", root)).code).toBe(0);
  const stranger = await check(
    text,
    "--key",
    verifierKey("ledger.test/s1-2026h2", config.checkpointPublicKey),
  );
  expect(stranger).toMatchObject({
    code: 1,
    out: expect.stringContaining("WRONG: there is no key of its log here"),
  });
});

test("a proof from a second history verifies by the key alone, and fails against the ledger", async ({
  expect,
}) => {
  const text = accountingCsv(told([found]));
  const same = await check(text, "--key", logKey, "--ledger", writeLog(join(folder, "same"), log));
  expect(same).toMatchObject({
    code: 0,
    out: expect.stringContaining(
      "s0-2026h2: the ledger, whole at 3 leaves, has the proofs' checkpoints in its past",
    ),
  });
  const fork = await check(
    text,
    "--key",
    logKey,
    "--ledger",
    writeLog(join(folder, "fork"), await logOfLine()),
  );
  expect(fork.code).toBe(1);
  expect(fork.out).toMatch(
    /1 of 1 lines are proven.*\ns0-2026h2: WRONG: frame\/0 \(frame 0\): does not extend an earlier checkpoint\n$/u,
  );
});

test("text from a foreign file reaches the terminal without control characters", async ({ expect }) => {
  const forged = JSON.stringify({
    log: "s0\u001b[2J\u202E\n1 of 1 lines are proven",
    index: 0,
    line: 0,
    lines: 1,
    content: "",
    salt: "",
    path: [],
    leaf: "",
    note: "",
  });
  const { code, out } = await check(
    `time,disclosed,proof\r\nx,y,${Buffer.from(forged).toString("base64")}\r\n`,
  );
  expect(code).toBe(1);
  expect(out.split("\n")[0]).toBe(
    "s0\\u001b[2J\\u202e\\u000a1 of 1 lines are proven/0/0: WRONG: there is no key of its log here",
  );
  expect(readLine(found.content)?.recipient).toBe("public-health");
});

test.for(forms)(
  "%s: pages are checked together; a line on two pages is named, and so is a missing last page",
  async ([, written], { expect }) => {
    const [first, last] = [join(folder, "first"), join(folder, "last")];
    writeFileSync(
      first,
      written(
        told([found], {
          next: "https://gateway.test/v1/fhir/main/Patient/amara/$disclosures?_page=x&_format=y",
        }),
      ),
    );
    writeFileSync(last, written(told([])));
    const checkAll = (...files: readonly string[]) =>
      phylax("accounting", "check", ...files, "--key", logKey);
    const whole = await checkAll(first, last);
    expect(whole).toMatchObject({ code: 0, out: expect.stringContaining("1 of 1 lines are proven") });
    expect(whole.out).not.toContain("more pages follow");
    expect(await checkAll(first)).toMatchObject({
      code: 0,
      out: expect.stringContaining("more pages follow: the last page is not among these files"),
    });
    writeFileSync(last, written(told([found])));
    expect(await checkAll(first, last)).toMatchObject({
      code: 1,
      out: expect.stringContaining("s0-2026h2/2/0: WRONG: shown before"),
    });
    expect((await checkAll()).code).toBe(2);
  },
);

test.for(forms)("%s: sums have no proofs, and are not called proven", async ([, written], { expect }) => {
  const sum = {
    number: 3,
    last: { log: "s0-2026h2", index: 7, line: 0, at: Date.UTC(2026, 10, 1) },
    counts: { Patient: 3 },
  };
  for (const lines of [[{ ...found, proven: undefined, sum }], [found], []])
    expect(await check(written(told(lines, { summed: true })))).toMatchObject({
      code: 2,
      out: "",
      error: expect.stringContaining("sums have no proofs"),
    });
});
