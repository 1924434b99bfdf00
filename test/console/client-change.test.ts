import { test } from "vitest";
import { htmlText } from "#console/answers";
import { clientChangeOf } from "#console/client-change";
import { clientIn, registryViewOf } from "#console/registry-view";
import { ClientChangePage } from "#console/pages/client-change";
import { instant } from "#kernel/clock";
import { changeDocument } from "#registry/change-document";
import { registryFile } from "../support/registry-file.ts";

const at = instant(Date.parse("2026-11-27T12:00:00Z"));
const digest = `sha256:${"1".repeat(64)}`;
const view = registryViewOf({ digest, registry: await registryFile() });
const client = clientIn(view, "telehealth") ?? { id: "", kind: "", auth: "external" as const };
const grant = { ...view.registry.grants?.[0] };
const named = { grant: `${grant.purpose} ${grant.origin}` };

const change = (fields: Readonly<Record<string, string>>, of = client) =>
  clientChangeOf({ view, client: of, at }, new URLSearchParams(fields));

test.for([
  [{ kind: "suspend" }, { set: { clients: [{ id: "telehealth", status: "suspended" }] } }],
  [
    { kind: "reinstate" },
    { set: { clients: [{ id: "telehealth", status: "active" }] }, reinstate: ["telehealth"] },
  ],
  [
    { kind: "end" },
    {
      set: { agreements: [{ client: "telehealth", to: "2026-11-27T12:00:00.000Z" }] },
      remove: { grants: [{ client: "telehealth", origin: grant.origin, purpose: grant.purpose }] },
    },
  ],
  [
    { kind: "quota", ...named, requests: "7", windowSeconds: "60" },
    {
      set: {
        grants: [{ ...grant, quotas: { default: { requests: 7, windowSeconds: 60 } } }],
        policies: [{ name: grant.policy }], // a grant names a policy of its file
      },
    },
  ],
  [
    { kind: "policy", ...named, policy: "treat" },
    { set: { grants: [{ policy: "treat" }], policies: [{ name: "treat" }] } },
  ],
  [
    { kind: "agreement", agreement: view.registry.agreements?.[0]?.id ?? "", to: "2026-12-31" },
    { set: { agreements: [{ to: "2026-12-31" }] } },
  ],
  [
    { kind: "certificate", certificate: ` ${"B".repeat(43)}\n` },
    { set: { clients: [{ certificates: [...(client.certificates ?? []), "B".repeat(43)] }] } },
  ],
  [
    { kind: "entity", name: "Lantern", address: " " },
    { set: { clients: [{ entity: { name: "Lantern" } }] } },
  ],
] as const)(
  "%j makes a change that the registry can read, on the state that was shown",
  ([fields, made], { expect }) => {
    const found = change(fields);
    expect(found).toMatchObject({ ok: true, value: { expects: digest, ...made } });
    expect(changeDocument.safeParse(found.ok && found.value).error?.issues ?? []).toEqual([]);
  },
);

test.for([
  { kind: "delete-everything" },
  { kind: "toString" },
  {},
  { kind: "quota", grant: "HRESCH elsewhere", requests: "1", windowSeconds: "1" },
  { kind: "policy", ...named, policy: "absent" },
  { kind: "agreement", agreement: "of-another-client", to: "2026-12-31" },
  { kind: "certificate", certificate: " " },
  { kind: "entity", name: " " },
])("%j makes no change, and says why", (fields, { expect }) => {
  expect(change(fields)).toMatchObject({ ok: false, error: expect.stringMatching(/\.$/u) });
});

test("an end removes an agreement that has not begun, because it cannot end before it begins", ({
  expect,
}) => {
  const [first] = view.registry.agreements ?? [];
  const coming = { ...first, id: "coming", client: "telehealth", from: "2027-01-01", to: "2028-01-01" };
  const agreements = [...(view.registry.agreements ?? []), coming] as typeof view.registry.agreements;
  const later = { ...view, registry: { ...view.registry, agreements } };
  const found = clientChangeOf({ view: later, client, at }, new URLSearchParams({ kind: "end" }));
  expect(found).toMatchObject({
    value: { set: { agreements: [{ id: first?.id }] }, remove: { agreements: ["coming"] } },
  });
});

test("the fields of a client with several grants are empty, and its name does not hide its id", ({
  expect,
}) => {
  const html = (grants: typeof view.registry.grants) =>
    htmlText(
      ClientChangePage({
        view: { ...view, registry: { ...view.registry, grants } },
        client: { ...client, entity: { name: "Lantern" } },
        formToken: "f",
        problem: undefined,
      }),
    );
  const own = (view.registry.grants ?? []).filter((each) => each.client === client.id).slice(0, 1);
  expect(html(own)).toMatch(/name="requests"[^>]*value="\d+"/u);
  const several = html([...own, ...own.map((each) => Object.assign({}, each, { origin: "aside" }))]);
  expect(several).not.toMatch(/name="requests"[^>]*value=/u);
  expect(several).not.toContain("selected");
  expect(several).toContain("Change Lantern (telehealth)");
});

test("a quota that is no number is left to the registry, which refuses it", ({ expect }) => {
  const found = change({ kind: "quota", ...named, requests: "many", windowSeconds: "60" });
  expect(changeDocument.safeParse(found.ok && found.value).success).toBe(false);
});

test("a client without agreements and grants has no end, and no form that needs them", ({ expect }) => {
  const bare = { id: "bare", kind: "payer", auth: "external" as const, status: "suspended" as const };
  expect(change({ kind: "end" }, bare).ok).toBe(false);
  const page = htmlText(ClientChangePage({ view, client: bare, formToken: "f", problem: undefined }));
  expect(page).toContain('value="reinstate"');
  expect(page).not.toMatch(/value="(?:suspend|quota|policy|agreement)"/u);
  const full = htmlText(ClientChangePage({ view, client, formToken: "f", problem: "A problem." }));
  for (const kind of ["suspend", "end", "quota", "policy", "agreement", "certificate", "entity"])
    expect(full).toContain(`name="kind" value="${kind}"`);
  expect(full).toContain("A problem.");
});
