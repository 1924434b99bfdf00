import { test } from "vitest";
import type { ListedExport } from "#limits/listed-export";
import { htmlText } from "#console/answers";
import { addExports } from "#console/operations/exports";
import type { PageContent } from "#console/page-maker";
import type { ConsolePorts } from "#console/ports";
import type { ConsoleVisit } from "#console/visit";
import { ExportsPage } from "#console/pages/exports";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { nobodySignsIn } from "../support/admin-door.ts";
import { at } from "../support/credentials.ts";

const facts = {
  level: "group",
  origin: "main",
  purpose: "HPAYMT",
  types: ["Patient"],
  read: [],
  run: null,
} as const;
const one: ListedExport = {
  id: "0123456789abcdef".repeat(2),
  client: "payer",
  startedAt: instant(at - 120_000),
  expires: instant(at + 3_600_000),
  facts,
};
const page = (
  exports: readonly ListedExport[],
  more: { readonly more?: number; readonly mayCancel?: boolean } = {},
) =>
  htmlText(
    ExportsPage({
      exports,
      more: more.more ?? 0,
      at,
      isCancelled: false,
      formToken: "token",
      once: () => "once",
      mayCancel: more.mayCancel ?? true,
    }),
  );

test("an export is shown with its client, level, grant, types, start and end, and a form that cancels it", ({
  expect,
}) => {
  const html = page([one]);
  for (const shown of ["01234567<", ">payer<", "a Group", "main", "Patient", "2 min ago", "ready"])
    expect(html).toContain(shown);
  expect(html).toContain('action="/console/exports/cancel"');
  expect(html).toContain(`name="export" value="${one.id}"`);
  expect(html).toMatch(/<input[^>]*name="reason"[^>]*required/u);
});

test("an operator who may not cancel gets no form", ({ expect }) => {
  expect(page([one], { mayCancel: false })).not.toContain("<form");
});

test("an export whose store does not answer is named, and can be cancelled", ({ expect }) => {
  const html = page([one, { ...one, id: "f".repeat(32), client: "lab", facts: null }]);
  expect(html).toContain("does not answer");
  expect(html).toContain(`value="${"f".repeat(32)}"`);
  expect(html).toContain("ready");
});

test("an export in work says how far it is, what a file waits for, and which file broke off", ({
  expect,
}) => {
  const files = ["Patient", "Observation", "Condition", "Encounter"];
  const read = (["sent", "waits", "broken"] as const).map((state, file) => ({
    file,
    state,
    rows: 1_000,
    reason: state === "waits" ? "origin_circuit_open" : null,
    at: instant(at - 3_000),
  }));
  const html = page([{ ...one, facts: { ...facts, types: files, read } }]);
  expect(html).toContain("1 of 4 types read, 3\u202F000 rows");
  expect(html).toMatch(/waits<\/span> Observation, for the origin, which failed \(circuit open\), 3 s ago/u);
  expect(html).toMatch(/broke off<\/span> Condition, 3 s ago/u);
});

test("the page says how many exports it leaves out, and that there are none", ({ expect }) => {
  expect(page([one], { more: 7 })).toContain("7 older exports are not shown");
  expect(page([one])).not.toContain("older export");
  expect(page([])).toContain("No export is open");
});

test("a form cancels one export with its reason, and a refused step changes no page", async ({ expect }) => {
  const ran: unknown[] = [];
  const answers = new Map<string, (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>>();
  addExports({ admin: nobodySignsIn } as unknown as ConsolePorts, {
    show: (path, _, render) => void answers.set(path, render),
    step: (path, _, act) => void answers.set(path, act),
  });
  const cancel = async (isOpen: boolean) => {
    const run: ConsoleVisit["run"] = async ({ interaction }, { document, once } = {}) => {
      ran.push([interaction, document, once]);
      if (interaction === "list-exports") return ok({ exports: [one], more: 0 });
      return isOpen ? ok({}) : err({ status: 422, title: "Unprocessable Content", requestId: "r" });
    };
    const url = new URL("https://ops.example.org/console/exports/cancel");
    const operator = { roles: ["revoker"] };
    const visit = { url, at, operator, session: { formToken: "t" }, run } as unknown as ConsoleVisit;
    const form = new URLSearchParams({ client: "payer", export: one.id, reason: "over", once: "1" });
    const made = await answers.get("/console/exports/cancel")?.(visit, form);
    if (made === undefined || made instanceof Response) throw new Error("no page");
    return { status: made.status ?? 200, text: htmlText(made.content as never) };
  };
  expect((await cancel(true)).text).toContain("Cancelled.");
  expect(ran).toEqual([
    ["cancel-export", { client: "payer", export: one.id, reason: "over" }, "1"],
    ["list-exports", { client: undefined }, undefined],
  ]);
  const refused = await cancel(false);
  expect(refused.status).toBe(422);
  expect(refused.text).not.toContain("Cancelled.");
});
