import { test } from "vitest";
import type { AuditEvent, EventDocument } from "#audit/event";
import type { EventOnRecord } from "#auditing/ledger-events";
import { instant } from "#kernel/clock";
import { actsIn } from "../../src/console/browser/operator-acts.ts";

const record = (id: string, step: number, at: number, more: Partial<AuditEvent>): EventOnRecord =>
  ({
    event: {
      id,
      step,
      at: instant(at),
      kind: "administration",
      who: { operator: "ada" },
      patients: [],
      unnamed: [],
      counts: {},
      ...more,
    },
    leaves: [],
    parts: 1,
    unknownKeys: [],
  }) as Partial<EventOnRecord> as EventOnRecord; // neither its log nor its frame counts here

const effect: readonly object[] = [
  {
    kind: "grant",
    name: "lab main TREAT",
    before: { quotas: 1, scopes: "system/*.r", policy: "a" },
    after: { quotas: 2, scopes: "system/*.r", policy: "b" },
  },
  { kind: "client", name: "old", before: {} },
  { kind: "client", name: "new", after: {} },
];
const inParts = (value: unknown, role: EventDocument["role"], size: number): readonly EventDocument[] => {
  const text = JSON.stringify(value);
  const texts = text.match(new RegExp(`.{1,${size}}`, "gu")) ?? [];
  return texts.map((part, i) => ({ role, text: part, part: i + 1, parts: texts.length }));
};

test("an act says which entries it touched, and by whom it was proposed, from all of its records", ({
  expect,
}) => {
  const what = { interaction: "approve" };
  const submitted = inParts({ proposal: "p" }, "submitted", 500);
  const effects = inParts(effect, "effect", 40);
  const [act, ...further] = actsIn(
    [
      ...submitted.map((document, i) => record("a", i, 1, { what, document })),
      ...effects.map((document, i) =>
        record("a", submitted.length + i, 1, {
          what,
          document,
          ...(i === effects.length - 1 && { outcome: { status: 200 }, approval: { proposedBy: "bob" } }),
        }),
      ),
    ].toReversed(),
  );
  expect(further).toEqual([]);
  expect(act?.says).toEqual([
    "changed grant lab main TREAT: quotas, policy",
    "removed client old",
    "added client new",
    "proposed by bob",
  ]);
  expect(act?.documents).toEqual([{ proposal: "p" }, effect]);
  expect(act?.last.event.outcome).toEqual({ status: 200 });
});

test("an act of which a part was not read has no half of a document", ({ expect }) => {
  const [first] = inParts(effect, "effect", 40);
  expect(actsIn([record("a", 0, 1, { document: first })])[0]).toMatchObject({ says: [], documents: [] });
});

test("a denial names the denied thing, a proposal its reason, and the newest act is the first", ({
  expect,
}) => {
  const denial = { kind: "grant", client: "lab", origin: "main", purpose: "TREAT" };
  const acts = actsIn([
    record("a", 0, 1, {
      what: { interaction: "revoke" },
      document: inParts(denial, "submitted", 500)[0],
    }),
    record("b", 0, 2, {
      what: { interaction: "propose" },
      document: inParts({ kind: "change", why: "contract 7" }, "submitted", 500)[0],
    }),
    record("c", 0, 3, { what: { interaction: "propose" }, document: { role: "submitted", text: "no JSON" } }),
  ]);
  expect(acts.map(({ says }) => says)).toEqual([[], ["contract 7"], ["grant of lab for treatment at main"]]);
});

test("two acts at one time are listed with the later one of the log first", ({ expect }) => {
  // the console asks to lift a denial, is refused, and proposes it, all in one step of a person
  const acts = actsIn([
    record("lift", 0, 5, {}),
    record("lift", 1, 5, { outcome: { status: 403 } }),
    record("propose", 0, 5, {}),
    record("propose", 1, 5, { outcome: { status: 200 } }),
  ]);
  expect(acts.map(({ last }) => last.event.id)).toEqual(["propose", "lift"]);
});
