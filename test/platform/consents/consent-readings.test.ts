import { test } from "vitest";
import { instant } from "#kernel/clock";
import { compareReading } from "#platform/consents/consent-readings";
import { withoutNames, type ConsentRow, type FiledRow } from "#platform/consents/consent-rows";

const every = 300_000;
const begun = instant(10_000_000);
const row = (consent: string, more: Partial<ConsentRow> = {}): ConsentRow => ({
  origin: "main",
  subject: "s",
  consent,
  digest: "as filed",
  form: "{}",
  isActive: true,
  mayPermit: false,
  filedBy: null,
  filedAt: begun,
  ...more,
});
const filed = (consent: string, more: Partial<FiledRow> = {}): FiledRow => ({
  ...row(consent, { mayPermit: true, filedBy: "registrar", filedAt: instant(begun - 600_000) }),
  change: 1,
  keyId: null,
  consentKeyId: null,
  recordedAs: null,
  ...more,
});
const compare = (found: readonly ConsentRow[], known: readonly FiledRow[], seen: readonly string[] = []) =>
  compareReading({ subject: "s", seen }, found, known, begun, every);

test("a Consent that is on file as the origin has it stays as it was filed, and is known from now on", ({
  expect,
}) => {
  expect(compare([row("a")], [filed("a")])).toEqual({ subject: "s", seen: ["a"], readAt: begun, rows: [] });
});

test("a new Consent and a changed Consent are filed without authority; an inactive Consent ends", ({
  expect,
}) => {
  const [fresh, changed] = [row("a"), row("b", { digest: "changed" })];
  const ended = row("c", { digest: "ended", isActive: false });
  const inactive = row("d", { isActive: false });
  const { rows } = compare([fresh, changed, ended, inactive], [filed("b"), filed("c")]);
  expect(rows).toEqual([fresh, changed, ended]);
  expect(rows.some(({ mayPermit }) => mayPermit)).toBe(false);
  expect(compare([inactive], [filed("d", { isActive: false, digest: "ended" })]).rows).toEqual([]);
});

test("an absent Consent ends if a reading ever had it; otherwise it permits no longer, and its denials stay", ({
  expect,
}) => {
  const seen = compare([], [filed("a")], ["a"]);
  expect(seen.rows).toMatchObject([{ consent: "a", isActive: false, mayPermit: false }]);
  expect(seen.seen).toEqual([]);
  const unseen = compare([], [filed("a")]);
  expect(unseen.rows).toMatchObject([{ consent: "a", digest: "as filed", isActive: true, mayPermit: false }]);
  expect(compare([], [filed("a", { mayPermit: false })]).rows, "as it is on file").toEqual([]);
});

test("a Consent that a client filed within the last minute is left, and the patient is read again soon", ({
  expect,
}) => {
  const recent = { filedAt: instant(begun - 59_000) };
  const expected = { rows: [], readAt: begun - every + 60_000, seen: ["a"] };
  expect(compare([], [filed("a", recent)], ["a"])).toMatchObject(expected);
  const changed = row("a", { digest: "changed" });
  expect(compare([changed], [filed("a", recent)])).toMatchObject(expected);
  expect(compare([changed], [filed("a", { ...recent, filedBy: null })]).rows, "the origin's own").toEqual([
    changed,
  ]);
});

test("a reading changes the authority of the origin's own Consents, never of a Consent that a client filed", ({
  expect,
}) => {
  const permitting = row("a", { mayPermit: true });
  expect(compare([permitting], [filed("a", { mayPermit: false })]).rows, "a client filed it").toEqual([]);
  expect(compare([permitting], [filed("a", { mayPermit: false, filedBy: null })]).rows).toEqual([permitting]);
  const plain = row("a");
  expect(compare([plain], [filed("a", { filedBy: null })]).rows).toEqual([plain]);
});

test("the names behind actors are renewed with the authority of the Consent on file, and none are for a client that may only deny", ({
  expect,
}) => {
  const form = (...meant: readonly string[]) => ({
    form: `{"actor":{${meant.length === 0 ? "" : `"meant":${JSON.stringify(meant)},`}"reference":"Group/g"}}`,
    digest: `of ${meant.join()}`,
  });
  const bare = withoutNames(form("doc"));
  expect(bare.form).toBe(form().form);
  const renewed = (known: Partial<FiledRow>, found = form("nurse")) =>
    compare([row("a", found)], [filed("a", known)]).rows;
  const [older] = [filed("a").filedAt];
  expect(renewed(form("doc"))).toEqual([
    row("a", { ...form("nurse"), mayPermit: true, filedBy: "registrar", filedAt: older }),
  ]);
  expect(renewed({ ...form("doc"), filedAt: instant(begun - 1) }), "filed a moment ago").toHaveLength(1);
  expect(renewed(bare), "names for the first time").toMatchObject([form("nurse")]);
  expect(renewed({ ...form("nurse"), mayPermit: false }), "a withdrawn authority").toMatchObject([
    { ...bare, mayPermit: false },
  ]);
  expect(renewed({ ...bare, mayPermit: false })).toEqual([]);
  expect(renewed({ ...form("doc"), filedBy: null, mayPermit: false }), "the origin's own").toMatchObject([
    form("nurse"),
  ]);
  // a reading that does not find the Consent renews no names
  expect(compare([], [filed("a", { ...form("doc"), mayPermit: false })]).rows).toMatchObject([bare]);
  expect(renewed(form("doc"), { form: "{}", digest: "changed" })).toMatchObject([{ mayPermit: false }]);
});
