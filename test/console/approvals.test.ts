import { test } from "vitest";
import { htmlText } from "#console/answers";
import { ChangePage, ProposalPage, type ShownPlan } from "#console/pages/approvals";

const policy = (...show: string[]) => ({
  format: "phylax.policy.v1",
  name: "who",
  title: "Who a patient is",
  purposes: ["TREAT"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read"],
      show,
      why: "45 CFR 164.506(c)",
      examples: [{ says: "A patient is read.", request: "Patient/a", is: "permitted" }],
    },
  ],
});
const plan: ShownPlan = {
  changes: [
    {
      kind: "grant",
      name: "lab hospital TREAT",
      before: { scopes: "system/*.r", policy: "old" },
      after: { scopes: "system/*.rs", policy: "new" },
    },
  ],
  policies: { old: policy("name"), new: policy("name", "birthDate") },
  opens: ["grant lab hospital TREAT: wider scopes <system>"],
};
const page = (opened: ShownPlan | undefined, problem?: string) =>
  htmlText(
    ProposalPage({
      proposal: {
        id: "a",
        kind: "change",
        digest: "d1ge57",
        why: "contract 7",
        proposedAt: 0,
        expiresAt: 0,
        proposedBy: "mina",
        state: "open",
        body: { kind: "change" },
      },
      plan: opened,
      problem,
      formToken: "token",
      once: () => "once",
      operator: { id: "second", status: "active", roles: ["approver"], kind: "person", signIn: undefined },
    }),
  );

test("an approver reads what a change opens and what its policy shows before the button", ({ expect }) => {
  const text = page(plan);
  const button = text.indexOf("/console/approvals/approve");
  const isBefore = (words: string) => text.includes(words) && text.indexOf(words) < button;
  expect(isBefore("grant lab hospital TREAT: wider scopes &lt;system&gt;")).toBe(true);
  expect(isBefore("scopes: system/*.r -&gt; system/*.rs")).toBe(true);
  expect(isBefore("+ read: element birthDate")).toBe(true);
  expect(isBefore("d1ge57")).toBe(true);
});

test("a change that opens nothing says so, and a proposal without a plan shows its document", ({
  expect,
}) => {
  expect(page({ ...plan, opens: [] })).toContain("It opens nothing.");
  const text = page(undefined);
  expect(text).not.toContain("It opens nothing.");
  expect(text).toContain("&quot;kind&quot;: &quot;change&quot;");
});

test("a change without its plan can only be planned: the Enter key presses the first button", ({
  expect,
}) => {
  const buttons = (opened: ShownPlan | undefined) => {
    const form = { text: "{}", why: "", planned: opened && "d1ge57", formToken: "token", once: "once" };
    const html = htmlText(ChangePage({ ...form, plan: opened }));
    return Array.from(html.matchAll(/<button name="act" value="(\w+)"/gu), ([, act]) => act);
  };
  expect(buttons(undefined)).toEqual(["plan"]);
  expect(buttons(plan)).toEqual(["apply", "propose", "plan"]);
  expect(buttons({ ...plan, changes: [] }), "nothing to apply or propose").toEqual(["plan"]);
});

test("a proposal whose entries have changed is planned again by one button, and its document is folded", ({
  expect,
}) => {
  const text = page(undefined, "the entries that it touches have changed since the proposal");
  expect(text).toContain('action="/console/approvals/plan"');
  expect(text).not.toContain('action="/console/approvals/approve"');
  expect(text).toMatch(/<details><summary>The proposal as JSON<\/summary>/u);
  expect(text).not.toContain("<details open");
  expect(page(plan)).not.toContain("<details open");
});
