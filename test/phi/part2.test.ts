import { RowBarrier } from "#fhir/row-barrier";
import { test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { parseScopes } from "#identity/scopes";
import { isArray, isObject, readJson, type JsonObject } from "#fhir/json/json";
import { withoutPart2Labels, withPart2Labels } from "#phi/part2";
import { Page } from "#phi/page";
import { Discloser } from "#phi/disclose";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { readConsent } from "#policy/consent/read-consent";
import { evaluate } from "#policy/evaluate";
import { readInteraction } from "#fhir/interaction";
import { ReferredLabels } from "#policy/sensitivity/referred-labels";
import { rowLabels } from "#policy/sensitivity/row-labels";
import { Residences } from "#residence/row-residences";
import { consent, purpose, sensitivity } from "../policy/consent/scene.ts";
import { policy, rule } from "../policy/granting.ts";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const origin = "https://origin.example/fhir";
const bases = {
  public: "https://gateway.example/v1/fhir/main",
  origin,
  name: "main",
  residences: new Residences(instant(0)),
  barrier: new RowBarrier(),
};
const security = [
  { system: `${v3}Confidentiality`, code: "R" },
  { system: `${v3}ActUSPrivacyLaw`, code: "42CFRPart2" },
];
const row = (id: string, more: object) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "x" },
  subject: { reference: "Patient/a" },
  ...more,
});
const [record, plain] = [row("r", { meta: { security } }), row("p", {})];

/** The grant of a request, with the Consents of patient `a`. */
function granted(
  request: string,
  consents: readonly JsonObject[],
  {
    part2 = true,
    referred,
    disputed = [],
  }: {
    readonly part2?: boolean;
    readonly referred?: ReferredLabels;
    readonly disputed?: readonly string[];
  } = {},
) {
  const scopes = parseScopes("system/*.rs");
  const [path = "", query = ""] = request.split("?");
  const interaction = readInteraction("GET", path.split("/"), query);
  if (!scopes.ok || !interaction.ok) throw new Error("a test's own mistake");
  if (interaction.value.kind !== "read" && interaction.value.kind !== "search") throw new Error(request);
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const asking = {
    recipient: { ...nobody, identifiers: new Set(["urn:phylax:client|lab"]) },
    holder: nobody,
    purpose: "TREAT",
    action: "read",
    at: instant(0),
  } as const;
  const book = new ConsentBook({ request: asking, individual: undefined, publicBase: bases.public });
  const filed = consents.map((resource, index) => ({
    digest: `digest-${index}`,
    rules: readConsent(resource, origin),
    consent: "c",
    filedAt: instant(0),
    mayPermit: true,
  }));
  const statement = { kind: "request-and-denial", rows: disputed, messages: [] } as const;
  const stated = {
    digest: "digest-s",
    rules: { isActive: true, readings: [], statement },
    consent: "s",
    filedAt: instant(0),
    mayPermit: false,
  };
  book.learn(["a"], new Map([["a", disputed.length === 0 ? filed : [...filed, stated]]]));
  const compiled = compilePolicy(
    {
      ...policy(rule(["Observation", "Bundle"], "everything")),
      labels: { part2, throughReferences: referred !== undefined },
    },
    "sha256:test",
  );
  const access = { scopes: scopes.value, patient: undefined, purpose: "TREAT", consents: book, referred };
  const grant = evaluate(compiled, access, interaction.value);
  if (!grant.ok) throw new Error(grant.error.reason);
  return grant.value;
}
const tpo = consent({
  type: "permit",
  purpose: ["TREAT", "HPAYMT", "HOPERAT"].map(purpose),
  securityLabel: [{ system: `${v3}Confidentiality`, code: "N" }, sensitivity("SUD")],
});

function read(
  body: object,
  consents: readonly JsonObject[],
  part2 = true,
  type: "Observation" | "Bundle" = "Observation",
): JsonObject | undefined {
  const grant = granted(`${type}/r`, consents, { part2 });
  const disclosed = new Discloser(grant, bases).read(utf8(JSON.stringify(body)), type, "r");
  if (!disclosed.ok) return undefined;
  const json = readJson(disclosed.value.windows[0]?.body ?? new Uint8Array());
  return json.ok && isObject(json.value) ? json.value : undefined;
}

function search(
  rows: readonly object[],
  consents: readonly JsonObject[],
  more: Parameters<typeof granted>[2] = {},
): string {
  const grant = granted("Observation?status=final", consents, more);
  if (grant.expects.kind !== "search") throw new Error("a test's own mistake");
  const page = new Page(grant, grant.expects, bases);
  for (const resource of rows) {
    const offered = page.offer(utf8(JSON.stringify({ resource, search: { mode: "match" } })));
    if (!offered.ok) throw new Error(offered.error.reason);
  }
  const finished = page.finish(undefined, true);
  if (!finished.ok) throw new Error(finished.error.reason);
  return finished.value.windows.map(({ body }) => new TextDecoder().decode(body)).join("");
}

function labelCodes(value: JsonObject | undefined) {
  const meta = value?.["meta"];
  const labels = isObject(meta) ? meta["security"] : undefined;
  return isArray(labels) ? labels.map((label) => (isObject(label) ? label["code"] : undefined)) : [];
}

test("a record of 42 CFR Part 2 leaves by a TPO consent, with the labels that its recipient has to keep", ({
  expect,
}) => {
  expect(read(record, [])).toBeUndefined();
  expect(read(record, [tpo], false)).toBeUndefined();
  const shown = read(record, [tpo]);
  expect(labelCodes(shown)).toEqual(["R", "42CFRPart2", "PERSISTLABEL", "NORDSCLCD"]);
  expect(shown).toEqual({ ...record, meta: shown?.["meta"] });
  // 42 CFR 2.32(b), also for a resource that is read alone
  const said = JSON.stringify(shown?.["meta"]);
  expect(said).toContain("extension-sec-label-related-artifact");
  expect(said).toContain(
    "permits this disclosure to this client for the purpose TREAT: Consent digest-0 (provision)",
  );
});

test("an update may send back the labels of an earlier read, whatever consent they state, and takes no stored label away", ({
  expect,
}) => {
  const law = { system: `${v3}ActUSPrivacyLaw`, code: "42CFRPart2" };
  const stored = { url: "https://hospital.example/reason", valueString: "court order" };
  const [R] = security;
  const labelled = (labels: readonly object[]) => row("r", { meta: { versionId: "1", security: labels } });
  const rows = [
    record,
    labelled([{ ...law, extension: [stored] }, R ?? {}]),
    row("r", { meta: { versionId: "1" } }),
    plain,
  ];
  for (const shown of rows) {
    const [earlier, now] = ["digest-0 TREAT", "digest-1 HOPERAT"].map((scope) =>
      withPart2Labels(shown, scope),
    );
    if (earlier === undefined || now === undefined) throw new Error("a test's own mistake");
    expect(withoutPart2Labels({ ...earlier, status: "amended" }, now, shown)).toEqual({
      ...shown,
      status: "amended",
    });
  }
  const changed = (shown: JsonObject, change: (label: JsonObject) => JsonObject | undefined): JsonObject => {
    const sent = withPart2Labels(shown, "digest-0");
    const meta = sent["meta"];
    const labels = isObject(meta) && isArray(meta["security"]) ? meta["security"] : [];
    const next = labels.flatMap((label) => (isObject(label) ? (change(label) ?? []) : []));
    return { ...sent, meta: { ...(isObject(meta) ? meta : {}), security: next } };
  };
  const [, extended = record] = rows;
  for (const [shown, change] of [
    [record, (label) => (label["code"] === "R" ? undefined : label)],
    [record, (label) => (label["code"] === "42CFRPart2" ? undefined : label)],
    [record, (label) => (label["code"] === "R" ? { ...label, code: "N" } : label)],
    [record, (label) => (label["code"] === "PERSISTLABEL" ? { ...label, code: "HIV" } : label)],
    [record, (label) => ({ ...label, system: "https://other.example" })],
    [extended, (label) => (label["code"] === "42CFRPart2" ? law : label)],
  ] as const satisfies readonly (readonly [JsonObject, (label: JsonObject) => JsonObject | undefined])[]) {
    const sent = changed(shown, change);
    expect(withoutPart2Labels(sent, withPart2Labels(shown, "digest-1"), shown)).toBe(sent);
  }
  const notLabels = { ...plain, meta: { security: "R" } };
  expect(withoutPart2Labels(notLabels, withPart2Labels(plain, "digest-1"), plain)).toBe(notLabels);
  // a row that is no such record has no added labels: an update adds none
  const marked = withPart2Labels(plain, "digest-0");
  expect(withoutPart2Labels(marked, plain, plain)).toBe(marked);
});

test("a resource with such a record inside leaves with the labels and the notice, and without both where the record stays out", ({
  expect,
}) => {
  const inside = row("c", { meta: { security } });
  const outer = row("r", { contained: [inside], hasMember: [{ reference: "#c" }] });
  expect(labelCodes(read(outer, [tpo]))).toEqual(["42CFRPart2", "PERSISTLABEL", "NORDSCLCD"]);
  expect(search([outer], [tpo])).toContain("42 CFR part 2 prohibits");
  expect(search([outer], [tpo])).toContain("digest-0 (provision)");
  expect(read(outer, [])).toEqual(row("r", {}));
  const entry = [record, plain].map((resource) => ({ resource }));
  const bundle = { resourceType: "Bundle", id: "r", type: "collection", entry };
  expect(labelCodes(read(bundle, [tpo], true, "Bundle"))).toEqual([
    "42CFRPart2",
    "PERSISTLABEL",
    "NORDSCLCD",
  ]);
  expect(labelCodes(read(bundle, [], true, "Bundle"))).toEqual([]);
  expect(search([outer], [])).toBe(search([row("r", {})], []));
});

test("a searchset with such a record has the notice and the scope of the consent; a searchset without one has neither", ({
  expect,
}) => {
  const bundle = JSON.parse(search([plain, record], [tpo])) as {
    readonly total: number;
    readonly entry: readonly { readonly search: object; readonly resource: object }[];
  };
  expect(bundle.total).toBe(2);
  expect(bundle.entry.map(({ search: mode }) => mode)).toEqual([
    { mode: "match" },
    { mode: "match" },
    { mode: "outcome" },
  ]);
  const said = JSON.stringify(bundle.entry[2]?.resource);
  expect(said).toContain("42 CFR part 2 prohibits unauthorized use or disclosure of these records.");
  expect(said).toContain("digest-0 (provision)");
  const without = search([plain], [tpo]);
  expect(search([plain, record], []), "hidden: as if absent").toBe(search([plain], []));
  expect(without).not.toContain("42 CFR");
});

test("a page has each notice once, whichever rows bring it", ({ expect }) => {
  const disputed = ["Observation/r", "Observation/p"];
  const bundle = JSON.parse(search([record, plain], [tpo], { disputed })) as {
    readonly entry: readonly { readonly resource: { readonly resourceType: string } }[];
  };
  expect(bundle.entry.map(({ resource }) => resource.resourceType)).toEqual([
    "Observation",
    "Observation",
    "OperationOutcome",
    "OperationOutcome",
  ]);
  expect(JSON.stringify(bundle.entry[2])).toContain("42 CFR part 2 prohibits");
  expect(JSON.stringify(bundle.entry[3])).toContain("A patient disputes entries");
});

test("a row that refers to such a record leaves with the same labels, and states the Consent that permits it", ({
  expect,
}) => {
  const referred = new ReferredLabels({ labels: rowLabels(security), patients: undefined });
  const note = row("n", { encounter: { reference: "Encounter/e" } });
  const treatment = { purpose: [purpose("TREAT")] };
  const kindAlone = consent({ type: "permit", securityLabel: [sensitivity("SUD")], ...treatment });
  const bundle = search([note], [kindAlone], { referred });
  expect(bundle).toContain("NORDSCLCD");
  expect(bundle).toContain("Consent digest-0 (provision)");
  expect(search([plain, note], [], { referred })).toBe(search([plain], [], { referred }));
});

test("a consent lets no such record leave without the elements of 42 CFR 2.31(a)", ({ expect }) => {
  const kind = { type: "permit", securityLabel: [sensitivity("SUD")] };
  const leaves = (provision: object, more: object = {}) =>
    read(record, [{ ...consent(provision), ...more }]) !== undefined;
  const forCare = { ...kind, purpose: [purpose("TREAT")] };
  expect(leaves(forCare)).toBe(true);
  expect(leaves(kind), "no purpose").toBe(false);
  expect(leaves({ ...kind, purpose: [] }), "a list without a purpose").toBe(false);
  expect(leaves({ ...kind, purpose: [purpose("TREAT"), { display: "care" }] }), "a purpose in words").toBe(
    false,
  );
  expect(leaves(forCare, { dateTime: undefined }), "no date").toBe(false);
  // the statement of a purpose may stand around the provision that names the kind
  const normal = { system: `${v3}Confidentiality`, code: "N" };
  const around = { type: "permit", securityLabel: [normal], provision: [kind] };
  expect(leaves({ ...around, purpose: [purpose("TREAT")] })).toBe(true);
  expect(leaves(around)).toBe(false);
  // beyond treatment, payment and operations: a named recipient and an end
  const research = { ...kind, purpose: [purpose("TREAT"), purpose("HRESCH")] };
  const recipient = {
    role: { coding: [{ system: `${v3}ParticipationType`, code: "IRCP" }] },
    reference: { identifier: { system: "urn:phylax:client", value: "lab" } },
  };
  const period = { start: "1969-01-01", end: "2100-01-01" };
  expect(leaves(research)).toBe(false);
  expect(leaves({ ...research, actor: [recipient] })).toBe(false);
  expect(leaves({ ...research, period })).toBe(false);
  expect(leaves({ ...research, actor: [recipient], period })).toBe(true);
  const endless = { start: "1969-01-01" };
  expect(leaves({ ...research, actor: [recipient], period: endless }), "no end").toBe(false);
});
