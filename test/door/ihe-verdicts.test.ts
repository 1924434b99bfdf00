import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import * as z from "zod";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { coding, level, purpose as purposeCoding, recipient, sensitivity } from "../policy/consent/scene.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { fhirSending } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { lane } from "../support/lane.ts";
import {
  askAs,
  askPatiently,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  outsideToken,
  type Outsider,
} from "../support/outside.ts";
import { registerMain } from "../support/outside-apps.ts";

// What IHE's Privacy Consent on FHIR says of each row, counted through the door: eight Consents of IHE with verdicts,
// and the seven others after its notes. `silent` leaves the row to the base policy.

const folder = join(import.meta.dirname, "../../../shared/data/fhir/ihe-pcf");
const resource = z.looseObject({ resourceType: z.string(), id: z.string() });
const published = z.object({
  rows: z.record(z.string(), resource),
  cases: z.array(
    z.object({
      consent: z.string(),
      request: z.object({ purpose: z.string(), actors: z.array(z.string()), at: z.string().optional() }),
      changed: z.looseObject({}).optional(),
      verdict: z.string(),
      rows: z.array(z.object({ row: z.string(), verdict: z.enum(["permit", "deny", "silent"]) })),
    }),
  ),
});
const json = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), "utf8"));

interface Case {
  readonly name: string;
  readonly consent: object;
  readonly purpose: string;
  readonly person: string | undefined;
  readonly organization: string;
  /** The Consent names the labels that it opens. */
  readonly namesLabels: boolean;
  readonly verdicts: Readonly<Record<string, string>>;
}

const purposes = ["TREAT", "HPAYMT", "CAREMGT", "HOPERAT", "HRESCH", "BTG"];
const organizations = ["ex-organization", "own-plan", "ex-org-researcher"];
const variants = {
  "opens-required": { opens: true, base: "required" },
  "shut-required": { opens: false, base: "required" },
  "opens-honoured": { opens: true, base: "honoured" },
} as const;
type Variant = keyof typeof variants;

const labelledRows = new Set(["alcohol", "mood", "assault", "hiv"]);
const everyRow = ["sugar", "alcohol", "weight", "mood", "assault", "hiv", "plain", "later"];
const treatmentPaymentOperations = ["TREAT", "HPAYMT", "HOPERAT"].map(purposeCoding);
const ofPractitioner = { actor: [recipient({ reference: "Practitioner/ex-practitioner" })] };
const of = (reference: string, meaning: string) => [{ meaning, reference: { reference } }];

/** The seven further Consents of IHE's guide, after its notes: the rows that they show. */
const further: readonly (readonly [name: string, provision: object, rows: string, asked?: Partial<Case>])[] =
  [
    [
      "not-timeframe",
      { provision: [{ type: "deny", dataPeriod: { start: "2022-01-01", end: "2022-12-31" } }] },
      "sugar weight mood later",
    ],
    [
      "authoredby",
      { data: of("Practitioner/ex-author", "authoredby") },
      "sugar alcohol weight assault plain later",
    ],
    [
      "not-authoredby",
      { provision: [{ type: "deny", data: of("Practitioner/ex-author", "authoredby") }] },
      "mood hiv",
    ],
    ["encounter", { data: of("Encounter/ex-encounter", "related") }, "sugar alcohol weight"],
    [
      "not-encounter",
      { provision: [{ type: "deny", data: of("Encounter/ex-encounter", "related") }] },
      "mood assault hiv plain later",
    ],
    ["data", { data: of("Observation/ex-alcoholUse", "instance") }, "alcohol"],
    [
      "organization",
      {
        purpose: [purposeCoding("HRESCH")],
        actor: [recipient({ reference: "Organization/ex-org-researcher" })],
      },
      everyRow.join(" "),
      { purpose: "HRESCH", organization: "ex-org-researcher" },
    ],
    [
      "organization, for a different one",
      {
        purpose: [purposeCoding("HRESCH")],
        actor: [recipient({ reference: "Organization/ex-org-researcher" })],
      },
      "",
      {
        purpose: "HRESCH",
        organization: "own-plan",
        verdicts: Object.fromEntries(everyRow.map((row) => [row, "silent"])),
      },
    ],
    ["N and R", { securityLabel: [level("N"), level("R")] }, everyRow.join(" ")],
    [
      "N, not R",
      { securityLabel: [level("N")], provision: [{ type: "deny", securityLabel: [level("R")] }] },
      "sugar weight plain later",
    ],
    [
      "N, focused R",
      {
        securityLabel: [level("N")],
        provision: [{ type: "permit", securityLabel: [level("R")], ...ofPractitioner }],
      },
      everyRow.join(" "),
    ],
    [
      "N, focused PSY or SDV",
      {
        securityLabel: [level("N")],
        provision: [
          { type: "permit", securityLabel: [sensitivity("PSY"), sensitivity("SDV")], ...ofPractitioner },
        ],
      },
      "sugar weight mood assault plain later",
    ],
    [
      "N, R under break-glass",
      {
        securityLabel: [level("N")],
        provision: [{ type: "permit", securityLabel: [level("R")], purpose: [purposeCoding("BTG")] }],
      },
      everyRow.join(" "),
      { purpose: "BTG" },
    ],
    [
      "N, R without break-glass",
      {
        securityLabel: [level("N")],
        provision: [{ type: "permit", securityLabel: [level("R")], purpose: [purposeCoding("BTG")] }],
      },
      "sugar weight plain later",
    ],
  ];

const consentOf = (provision: object) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [coding("patient-privacy", "consentscope")] },
  category: [{ coding: [{ system: "http://loinc.org", code: "59284-0" }] }],
  patient: { reference: "Patient/ex-patient" },
  dateTime: "2022-06-13",
  policyRule: { coding: [coding("OPTIN", "v3-ActCode")] },
  provision,
});

const day = (offset: number) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

function cases(): readonly Case[] {
  const given = published
    .parse(json("verdicts.json"))
    .cases.map(({ consent, request, changed, rows }): Case => {
      const document = z.looseObject({ provision: z.looseObject({}) }).parse(json(`${consent}.json`));
      const {
        id: _id,
        text: _text,
        provision,
        ...body
      } = document as Record<string, unknown> & typeof document;
      const isPermitted = rows.some(({ verdict }) => verdict === "permit");
      // The Consent that ends in 2022 ends today, or has ended, instead of a request of that year.
      const period = consent.includes("expired")
        ? { period: { start: "2022-01-01", end: day(isPermitted ? 0 : -2) } }
        : {};
      const person = request.actors.find((actor) => actor.startsWith("Practitioner/"));
      return {
        name: consent,
        consent: { ...body, ...changed, provision: { ...provision, ...period } },
        purpose: request.purpose,
        person,
        organization: request.actors.find((actor) => actor.startsWith("Organization/"))?.slice(13) ?? "",
        namesLabels: consent.includes("advanced"),
        verdicts: Object.fromEntries(rows.map(({ row, verdict }) => [row, verdict])),
      };
    });
  const own = further.map(([name, provision, shown, asked = {}]): Case => {
    const usual = {
      name,
      consent: consentOf({ type: "permit", purpose: treatmentPaymentOperations, ...provision }),
      purpose: "TREAT",
      person: "Practitioner/ex-practitioner",
      organization: "ex-organization",
      namesLabels: JSON.stringify(provision).includes("securityLabel"),
      verdicts: Object.fromEntries(
        everyRow.map((row) => [row, shown.split(" ").includes(row) ? "permit" : "deny"]),
      ),
    };
    return Object.assign(usual, asked);
  });
  return [...given, ...own];
}

const isCounted = lane !== "fast" && existsSync(folder);
let phylax: Door;
let issuer: Outsider;
const certificates = new Map<string, CertificateFiles>();
let rows: Readonly<Record<string, { readonly resourceType: string; readonly id: string }>> = {};
const clientOf = (variant: Variant, organization: string) => `${variant}-${organization}`;

async function ask(client: string, purpose: string, person: string | undefined, path: string, sending = {}) {
  const certificate = certificates.get(client);
  if (certificate === undefined) throw new Error(client);
  const claims = {
    client_id: client,
    scope: "system/*.cruds",
    purpose,
    ...(person !== undefined && { fhirUser: person, name: "Dr. Example" }),
    acr: "urn:step-up",
    auth_time: Math.floor(Date.now() / 1_000),
  };
  const headers =
    purpose === "BTG" ? { "phylax-purpose": "BTG", "phylax-justification": "A fall; allergies unknown" } : {};
  return askPatiently(
    async () =>
      askAs(phylax, certificate, await outsideToken(issuer, certificate, claims), path, {
        headers,
        ...sending,
      }),
    sending,
    () => false,
  );
}

describe.runIf(isCounted)("IHE's verdicts (need ../shared/data)", () => {
  beforeAll(async () => {
    rows = published.parse(json("verdicts.json")).rows;
    const identified = (file: string, value: string) => ({
      ...resource.parse(json(file)),
      identifier: [{ system: "urn:npi", value }],
    });
    const others = Object.values(rows).map((row) =>
      Object.assign({}, row, {
        id: `other-${row.id}`,
        subject: { reference: "Patient/other" },
        meta: undefined,
      }),
    );
    const world: readonly object[] = [
      resource.parse(json("Patient-ex-patient.json")),
      { resourceType: "Patient", id: "other" },
      ...["Group-ex-privilegedUsers", "Practitioner-ex-author", "Practitioner-ex-practitioner"].map((name) =>
        resource.parse(json(`${name}.json`)),
      ),
      identified("Organization-ex-organization.json", "ex-organization"),
      identified("Organization-ex-org-researcher.json", "ex-org-researcher"),
      ...Object.values(rows),
      ...others,
    ];
    phylax = await startDoor({
      resources: world as NonNullable<Parameters<typeof startDoor>[0]>["resources"] & object,
    });
    issuer = await outsider("https://ihe.example", "phylax");
    const policies = Object.entries(variants).map(([name, { opens, base }]) =>
      policyEntry(name, [rule(["Patient", "Observation", "Condition"], "everything")], {
        purposes,
        consent: { base },
        labels: { ...(opens && { generalConsentOpens: ["R"] }) },
      }),
    );
    const registrar = policyEntry(
      "registrar",
      [rule(["Consent"], "everything", { interactions: ["read", "create", "delete"] })],
      { consentRegistrar: true },
    );
    const entries = [];
    for (const variant of Object.keys(variants) as Variant[])
      for (const organization of organizations) {
        const id = clientOf(variant, organization);
        const more = {
          kind: "hospital",
          organization: [`urn:npi|${organization}`],
          entity: { name: "H", address: "1 Road" },
        };
        const client = await outsideClient(
          phylax,
          issuer,
          id,
          { purpose: "TREAT", policy: variant, scopes: "system/*.cruds" },
          more,
        );
        certificates.set(id, client.certificate);
        const { clients, agreements, grants } = client.entries;
        entries.push({
          clients,
          agreements: agreements.map((each) => Object.assign({}, each, { purposes })),
          grants: purposes.flatMap((purpose) =>
            grants.map((each) =>
              Object.assign(
                {},
                each,
                { purpose },
                purpose === "BTG" && { breakGlass: { acr: ["urn:step-up"], maxSeconds: 600 } },
              ),
            ),
          ),
        });
      }
    const office = await outsideClient(phylax, issuer, "office", {
      purpose: "TREAT",
      policy: "registrar",
      scopes: "system/*.cruds",
    });
    certificates.set("office", office.certificate);
    await phylax.applyRegistry(
      joined(
        {
          issuers: [issuerEntry(issuer, { purpose: { claim: "purpose" } })],
          policies: [...policies, registrar],
        },
        office.entries,
        ...entries,
      ),
    );
    await registerMain(phylax, { honoursIfMatchOnDelete: true, consents: { readEverySeconds: 60 } });
  }, 60_000);
  afterAll(() => phylax.close());

  test(
    "each row that IHE's Consents show arrives, by id and by search, and no further row does",
    { timeout: 90_000 },
    async ({ expect }) => {
      const figures: Record<string, string> = {};
      const nothing = () => ({
        shown: 0,
        arrived: 0,
        hidden: 0,
        leaks: [] as string[],
        missing: [] as string[],
      });
      const sums = { "opens-required": nothing(), "shut-required": nothing(), "opens-honoured": nothing() };
      for (const { name, consent, purpose, person, organization, namesLabels, verdicts } of cases()) {
        const before = await ask(
          clientOf("opens-honoured", organization),
          purpose,
          person,
          "Observation?patient=other&_sort=_id",
        );
        const created = await ask("office", "TREAT", undefined, "Consent", fhirSending("POST", consent));
        expect(created.status, `${name}: ${created.text}`).toBe(201);
        for (const variant of Object.keys(variants) as Variant[]) {
          const client = clientOf(variant, organization);
          const { opens, base } = variants[variant];
          const sum = sums[variant];
          const found = new Set<string>();
          for (const type of ["Observation", "Condition"]) {
            const page = await ask(client, purpose, person, `${type}?patient=ex-patient&_count=50`);
            expect(page.status, page.text).toBe(200);
            const { entry = [] } = z
              .object({ entry: z.array(z.object({ resource })).optional() })
              .parse(JSON.parse(page.text));
            for (const each of entry) found.add(each.resource.id);
          }
          let [shown, arrived] = [0, 0];
          for (const row of everyRow) {
            const { resourceType = "", id = "" } = rows[row] ?? {};
            const read = await ask(client, purpose, person, `${resourceType}/${id}`);
            const verdict = verdicts[row];
            const byConsent = verdict === "permit" && (!labelledRows.has(row) || opens || namesLabels);
            const byBase = verdict === "silent" && base === "honoured" && !labelledRows.has(row);
            const leaves = [read.status === 200, found.has(id)];
            const what = `${variant} ${name} ${purpose} ${person ?? ""} ${row} ${leaves.join()}`;
            if (byConsent || byBase) {
              shown += 1;
              if (leaves.every(Boolean)) arrived += 1;
              else sum.missing.push(what);
            } else {
              sum.hidden += 1;
              if (leaves.some(Boolean)) sum.leaks.push(what);
            }
          }
          sum.shown += shown;
          sum.arrived += arrived;
          const key = `${variant} ${name}`;
          const [s = 0, a = 0] = (figures[key] ?? "0 0").split(" ").map(Number);
          figures[key] = `${s + shown} ${a + arrived}`;
        }
        const after = await ask(
          clientOf("opens-honoured", organization),
          purpose,
          person,
          "Observation?patient=other&_sort=_id",
        );
        expect([after.status, after.text], "the other patient's").toEqual([before.status, before.text]);
        const [, id] = /Consent\/([^/]+)/u.exec(created.headers["location"] ?? "") ?? [];
        expect(
          (await ask("office", "TREAT", undefined, `Consent/${id}`, { method: "DELETE" })).status,
        ).toBeLessThan(300);
      }
      if (process.env["PHYLAX_FIGURES"] !== undefined)
        console.log(JSON.stringify({ figures, sums }, undefined, 1));
      for (const [variant, { shown, leaks, missing }] of Object.entries(sums)) {
        expect(leaks, variant).toEqual([]);
        expect(missing, variant).toEqual([]);
        expect(shown, "some rows are counted").toBeGreaterThan(50);
      }
    },
  );
});
