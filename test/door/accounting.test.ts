import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, test, vi } from "vitest";
import { checkLine, readLineProof } from "#audit/accounting/proof";
import { readJson, type JsonObject } from "#fhir/json/json";
import { validateResource } from "#fhir/validate/validate";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { commandIn } from "../support/in-process/command.ts";
import { openLedger } from "../support/auditor.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsideClient,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { patience } from "../support/patience.ts";
import { fhirSending } from "../support/fhir-parts.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import { type AccountedEvent } from "../support/accounting-lines.ts";

const bundles = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
const link = (type: string, id: string) => ({ type, other: { reference: `Patient/${id}` } });
const observation = (id: string, patient: string) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: id },
  subject: { reference: `Patient/${patient}` },
});
const restricted = { system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" };
const immunization = (id: string, patient: string) => ({
  resourceType: "Immunization",
  id,
  status: "completed",
  vaccineCode: { text: id },
  patient: { reference: `Patient/${patient}` },
  occurrenceDateTime: "2026-01-01",
});
const resources = [
  // Her record replaced an older record, and both say so. She alone says that it replaced Bela's record too.
  {
    resourceType: "Patient",
    id: "amara-okafor",
    name: [
      { use: "nickname", text: "Ama" },
      { use: "official", given: ["Amara", "Ngozi"], family: "Okafor" },
    ],
    birthDate: "1984-03-12",
    link: [link("replaces", "amara-old"), link("replaces", "bela"), link("seealso", "carl")],
  },
  { resourceType: "Patient", id: "amara-old", active: false, link: [link("replaced-by", "amara-okafor")] },
  { resourceType: "Patient", id: "bela" },
  { resourceType: "Patient", id: "carl" },
  { resourceType: "Patient", id: "dana" },
  { resourceType: "Patient", id: "emma" },
  {
    resourceType: "Patient",
    id: "locked",
    meta: { security: [restricted] },
    name: [{ given: ["Lena"], family: "Locke" }],
    birthDate: "1990-05-06",
    link: [link("replaces", "locked-old")],
  },
  { resourceType: "Patient", id: "locked-old", active: false, link: [link("replaced-by", "locked")] },
  { resourceType: "Patient", id: "locked-and-quiet", meta: { security: [restricted] } },
  immunization("of-locked", "locked"),
  immunization("of-locked-old", "locked-old"),
  immunization("of-gone", "gone"), // the Patient of this row is deleted
  observation("of-amara", "amara-okafor"),
  observation("of-old", "amara-old"),
  observation("of-bela", "bela"),
  observation("of-dana", "dana"),
];
writeFileSync(join(bundles, "all.ndjson"), resources.map((resource) => JSON.stringify(resource)).join("\n"));

/** The desk that files what patients sign. */
const deskPolicy = policyEntry(
  "desk",
  [
    rule(["Consent", "Patient", "Observation"], "everything", {
      interactions: ["read", "search", "create", "update"],
    }),
  ],
  { consentRegistrar: true },
);
const deskEntries = (id: string, holder: CertificateFiles) =>
  clientEntries(
    {
      id,
      kind: "system",
      auth: "external",
      issuer: deskIssuer.iss,
      externalClientId: id,
      certificates: [thumbprint(holder)],
    },
    "TREAT",
    "desk",
    "system/*.crus",
  );

let phylax: Door;
let certificate: CertificateFiles;
let desk: CertificateFiles;
let clinic: CertificateFiles;
const issuer = await outsider("https://issuer.example", "phylax");
const deskIssuer = await outsider("https://desk.example", "phylax");
beforeAll(async () => {
  phylax = await startDoor({ bundles });
  const grant = { policy: "patrqt", scopes: "patient/*.rs" };
  const app = await outsideClient(phylax, issuer, "own-app", grant);
  certificate = app.certificate;
  desk = await certificateFor(phylax, "consent-desk");
  clinic = await certificateFor(phylax, "clinic");
  await phylax.applyRegistry(
    joined(
      {
        issuers: [
          issuerEntry(issuer, { claims: { patientIsUser: true } }),
          issuerEntry(deskIssuer, { purpose: { fixed: ["TREAT"] } }),
        ],
        policies: [starterPolicy("patrqt"), deskPolicy],
      },
      app.entries,
      deskEntries("consent-desk", desk),
      deskEntries("clinic", clinic),
    ),
  );
}, 120_000);
/** Asks as a patient's own app. */
const askOwn = async (patient: string, path: string) =>
  askAs(
    phylax,
    certificate,
    await outsideToken(issuer, certificate, { client_id: "own-app", patient, scope: "patient/*.rs" }),
    path,
  );
afterAll(async () => {
  await phylax.close();
  rmSync(bundles, { recursive: true, force: true });
});

afterEach(() => void vi.useRealTimers());

const command = (...args: readonly string[]) => commandIn(bundles, ...args);
const ask = (client: string, path: string) => phylax.ask(client, path);
async function accounting(
  client: string,
  id: string,
  query = "",
): Promise<{ readonly lines: readonly AccountedEvent[]; readonly words: string; readonly text: string }> {
  const reply = await ask(client, `Patient/${id}/$disclosures${query}`);
  if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text}`);
  const bundle = JSON.parse(reply.text) as {
    entry: {
      search: { mode: string };
      resource: AccountedEvent & { issue?: { details: { text: string } }[] };
    }[];
  };
  const lines = bundle.entry.filter(({ search }) => search.mode === "match").map(({ resource }) => resource);
  return { lines, words: bundle.entry.at(-1)?.resource.issue?.[0]?.details.text ?? "", text: reply.text };
}
const recipientOf = ({ agent }: AccountedEvent) =>
  agent.find(({ requestor }) => requestor)?.who.identifier?.value;
const detailOf = ({ entity }: AccountedEvent, type: string) => {
  const found = entity.flatMap(({ detail = [] }) => detail).find((one) => one.type === type);
  return found?.valueString ?? found?.valueBase64Binary;
};
const patientOf = ({ entity }: AccountedEvent) => entity[0]?.what?.reference;
const told = (lines: readonly AccountedEvent[]) =>
  lines.map((line) => `${recipientOf(line)} ${patientOf(line)}`);

describe("an accounting of disclosures", () => {
  beforeAll(async () => {
    for (const [client, path] of [
      ["telehealth", "Patient/amara-okafor"],
      ["public-health", "Patient/amara-okafor"],
      ["public-health", "Patient/amara-old"],
      ["public-health", "Patient/bela"],
      ["payer", "Patient/bela"],
      ["public-health", "Immunization/of-locked"],
      ["public-health", "Immunization/of-locked-old"],
      ["public-health", "Immunization/of-gone"],
    ] as const) {
      const { status, text } = await ask(client, path);
      if (status !== 200) throw new Error(`${client} ${path}: ${status} ${text}`);
    }
  }, 60_000);

  test("an individual's accounting has the lines that the law requires, of each record of the individual and of no further patient", async ({
    expect,
  }) => {
    const { lines, words } = await accounting("patient-app", "amara-okafor");
    expect(told(lines)).toEqual(["public-health Patient/amara-okafor", "public-health Patient/amara-old"]);
    expect(words).toContain("No proof shows that no line is missing");
    const all = await accounting("patient-app", "amara-okafor", "?all=true");
    expect(told(all.lines)).toContain("telehealth Patient/amara-okafor");
    expect(told(all.lines), "the first accounting was told to the individual").toContain(
      "patient-app Patient/amara-okafor",
    );
    expect(told(all.lines).join()).not.toContain("bela");
    const standing = (recipient: string) =>
      all.lines
        .filter((line) => recipientOf(line) === recipient)
        .map((line) => detailOf(line, "required-by-law"));
    expect(new Set(standing("telehealth"))).toEqual(new Set([expect.stringContaining("164.528(a)(1)(i)")]));
    expect(new Set(standing("patient-app"))).toEqual(new Set([expect.stringContaining("164.528(a)(1)(ii)")]));
    expect(standing("public-health")).toEqual(["yes", "yes"]);
  });

  test("the privacy officer gets any patient's accounting, and two records in one accounting only where both link to each other", async ({
    expect,
  }) => {
    expect(told((await accounting("privacy-officer", "bela")).lines)).toEqual(["public-health Patient/bela"]);
    expect(told((await accounting("privacy-officer", "amara-okafor")).lines)).toEqual([
      "public-health Patient/amara-okafor",
      "public-health Patient/amara-old",
    ]);
    expect(told((await accounting("privacy-officer", "amara-old")).lines)).toHaveLength(2);
    expect(told((await accounting("privacy-officer", "carl")).lines)).toEqual([]);
  });

  test("each line is a valid AuditEvent, its proof holds with the log's public key, and the proven leaf states the line", async ({
    expect,
  }) => {
    const { lines } = await accounting("privacy-officer", "amara-okafor", "?all=true");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const json = readJson(new TextEncoder().encode(JSON.stringify(line)));
      if (!json.ok) throw new Error(json.error.reason);
      expect(validateResource(json.value as JsonObject)).toEqual([]);
      const proof = readLineProof(Buffer.from(detailOf(line, "proof") ?? "", "base64").toString());
      if (!proof.ok) throw new Error(proof.error);
      const verifier = parseVerifierKey(phylax.dev.logs[proof.value.log] ?? "");
      if (!verifier.ok) throw new Error(verifier.error);
      const checked = checkLine(proof.value, verifier.value);
      if (!checked.ok) throw new Error(checked.error);
      const { says } = checked.value;
      expect([says.recipient, new Date(says.at).toISOString(), says.purposes]).toEqual([
        recipientOf(line),
        line.recorded,
        line.purposeOfEvent.flatMap(({ coding }) => coding.map(({ code }) => code)),
      ]);
    }
  });

  test("the HTML form has no script and forbids all content; a spreadsheet opens the CSV form", async ({
    expect,
  }) => {
    const page = await ask("patient-app", "Patient/amara-okafor/$disclosures?_format=text/html");
    expect(page.headers).toMatchObject({
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    expect(page.headers["content-security-policy"]).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'/u,
    );
    expect(page.text).toContain("Accounting of disclosures");
    expect(page.text).toMatch(/<dd>Amara Ngozi Okafor, born March 12, 1984<\/dd>/u);
    expect(page.text).toContain('data-head="Why">public health</td>');
    expect(page.text).toContain("<dd>PUBHLTH</dd>");
    expect(page.text).not.toMatch(/<script|javascript:|onload=|<img|<a /iu);
    const csv = await ask("privacy-officer", "Patient/bela/$disclosures?_format=csv&all=true");
    expect(csv.headers["content-type"]).toBe("text/csv; charset=utf-8");
    const [head, ...rows] = csv.text.split("\r\n");
    expect(head).toBe(
      "time,recipient,recipient id,address,purpose,agreement,disclosed,patient,required by law,ledger line,proof",
    );
    expect(rows.find((row) => row.includes(",public-health,"))).toMatch(
      /^\d{4}-.*,State Department of Health,public-health,"1 Health Plaza, Springfield",public health \(PUBHLTH\),public-health-agreement,Patient 1,Patient\/bela,yes,s\d-/u,
    );
    // the registry's entry of a client names its entity
    expect(rows.find((row) => row.includes(",payer,"))).toMatch(
      /,Harbor Health Plan,payer,"12 Harbor Road, Springfield",payment \(HPAYMT\),/u,
    );
  });

  test("phylax accounting check proves each of the three forms offline and names a changed line", async ({
    expect,
  }) => {
    const keys = Object.values(phylax.dev.logs).flatMap((key) => ["--key", key]);
    const file = join(bundles, "saved");
    for (const format of ["json", "text/csv", "text/html"]) {
      const { text } = await ask("privacy-officer", `Patient/bela/$disclosures?all=true&_format=${format}`);
      writeFileSync(file, text);
      const { code, out, error } = await command("accounting", "check", file, ...keys);
      expect(code, format + out + error).toBe(0);
      expect(out).toMatch(/^s\d-\d{4}h[12]\/\d+\/0: good: .*, to public-health, for PUBHLTH, Patient 1$/mu);
      expect(out).toContain("no proof shows that no line is missing");
    }
    const { lines, text } = await accounting("privacy-officer", "bela");
    const proof = JSON.parse(
      Buffer.from(detailOf(lines[0] as AccountedEvent, "proof") ?? "", "base64").toString(),
    ) as {
      content: string;
    };
    const content = Buffer.from(
      Buffer.from(proof.content, "base64").toString("latin1").replace("PUBHLTH", "PUBHLTX"),
      "latin1",
    );
    const changed = Buffer.from(JSON.stringify({ ...proof, content: content.toString("base64") })).toString(
      "base64",
    );
    writeFileSync(file, text.replace(detailOf(lines[0] as AccountedEvent, "proof") ?? "", changed));
    const told = await command("accounting", "check", file, ...keys);
    expect(told).toMatchObject({ code: 1, out: expect.stringContaining("WRONG: line not of leaf") });
    expect((await command("accounting", "check", file)).code, "without a key").toBe(2);
  });

  test("a suspension at the operators' door withholds the recipient's lines from the individual, and does not show", async ({
    expect,
  }) => {
    const at = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    const held = {
      id: "case-7",
      patient: "main/Patient/amara-okafor",
      recipient: "public-health",
      from: at(-1),
      to: at(20),
    };
    const file = join(bundles, "suspension.json");
    const suspend = async (document: object) => {
      writeFileSync(file, JSON.stringify(document));
      return command("accounting", "suspend", file, "--state", join(phylax.home, ".phylax"));
    };
    expect(await command("accounting", "suspend", file)).toEqual({
      code: 2,
      out: "",
      // Workers in this process may print there, too.
      error: expect.stringContaining(`${file} does not exist: name the file of the suspension\n`),
    });
    expect(await suspend(held)).toMatchObject({ code: 2, error: expect.stringContaining("/statement") });
    const statement = "The Attorney General states in writing that telling would impede an inquiry.";
    expect(await suspend({ ...held, statement })).toMatchObject({ code: 0, out: "suspended\n" });
    const before = await accounting("patient-app", "amara-okafor");
    expect(told(before.lines), "nor of the record that is united with it").toEqual([]);
    expect(before.text).not.toMatch(/suspen|inquiry|case-7/iu);
    const all = await accounting("patient-app", "amara-okafor", "?all=true");
    const officers = all.lines
      .filter((line) => recipientOf(line) === "privacy-officer")
      .map((line) => detailOf(line, "disclosed"));
    expect(new Set(officers), "how many lines an officer saw would tell that some are held back").toEqual(
      new Set(["Bundle 1"]),
    );
    const officer = await accounting("privacy-officer", "amara-okafor");
    expect(officer.lines.map((line) => detailOf(line, "suspended-until"))).toEqual([held.to, held.to]);
    expect(officer.words).toContain("Some lines are suspended");
    const handedOut = await accounting("privacy-officer", "amara-okafor", "?for=individual");
    expect(told(handedOut.lines)).toEqual([]);
    expect(handedOut.text).not.toMatch(/suspen|inquiry|case-7/iu);
    expect(await suspend({ ...held, statement, to: at(-0.1) })).toMatchObject({ code: 0 });
    expect(told((await accounting("patient-app", "amara-okafor")).lines)).toHaveLength(2);
  });

  test("a time narrows an accounting; a malformed parameter is refused", async ({ expect }) => {
    const today = new Date().toISOString().slice(0, 10);
    expect((await accounting("privacy-officer", "bela", `?start=${today}&end=${today}`)).lines).toHaveLength(
      1,
    );
    expect((await accounting("privacy-officer", "bela", "?end=2026-01-01")).lines).toHaveLength(0);
    for (const query of [
      "?start=2026-02-30",
      "?start=2026-02-02&end=2026-02-01",
      "?all=yes",
      "?other=1",
      "?start=2026-01-01&start=2026-01-01",
    ])
      expect((await ask("privacy-officer", `Patient/bela/$disclosures${query}`)).status, query).toBe(400);
    expect(
      (await phylax.ask("privacy-officer", "Patient/bela/$disclosures", { method: "POST" })).status,
    ).toBe(405);
  });

  test("an id alone gets the accounting of a labelled or deleted patient: for the officer and for the individual", async ({
    expect,
  }) => {
    for (const id of ["locked", "gone"]) {
      expect((await ask("privacy-officer", `Patient/${id}`)).status, id).toBe(404);
      const officer = await accounting("privacy-officer", id);
      expect(told(officer.lines)).toEqual([`public-health Patient/${id}`]);
      expect(officer.words).toContain("links between this person's records could not be confirmed");
      // a label withholds no row from the individual whose row it is
      expect((await askOwn(id, `Patient/${id}`)).status, id).toBe(id === "locked" ? 200 : 404);
      const reply = await askOwn(id, `Patient/${id}/$disclosures`);
      expect(reply.status, reply.text).toBe(200);
      expect(reply.text).toContain(`"reference":"Patient/${id}"`);
      expect((await askOwn(id, "Patient/amara-okafor/$disclosures")).status).toBe(404);
    }
  });

  test("the page of a labelled individual has the name and the merged records, and the officer's page has none", async ({
    expect,
  }) => {
    const own = await askOwn("locked", "Patient/locked/$disclosures?_format=text/html");
    expect(own.text).toContain("<dd>Lena Locke, born May 6, 1990</dd>");
    expect(own.text).toContain("Patient/locked-old");
    expect(own.text).not.toContain("could not be confirmed");
    const officer = await ask("privacy-officer", "Patient/locked/$disclosures?_format=text/html");
    expect(officer.status).toBe(200);
    expect(officer.text).not.toMatch(/Lena|, born |locked-old/u);
  });

  test("two worlds: a labelled patient and a patient who was never there have the same empty accounting, for the officer and for a further individual", async ({
    expect,
  }) => {
    const world = async (id: string) => {
      const before = (await openLedger(phylax.dev)).length;
      const asked = phylax.forwarded.length;
      const replies = [
        await ask("privacy-officer", `Patient/${id}/$disclosures`),
        await ask("patient-app", `Patient/${id}/$disclosures`),
      ];
      const seen = replies.map(({ status, headers, text }) => [
        status,
        headers["content-type"],
        text
          .replaceAll(id, "ID")
          .replaceAll(/[0-9a-f]{32}/gu, "REQUEST")
          .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/gu, "TIME"),
      ]);
      const events = (await openLedger(phylax.dev))
        .slice(before)
        .map(({ event }) => JSON.stringify([event.kind, event.outcome, event.counts, event.patients.length]))
        .sort(); // records of one client stand in several logs
      return JSON.stringify([seen, events, phylax.forwarded.slice(asked)]).replaceAll(id, "ID");
    };
    const locked = await world("locked-and-quiet");
    expect(locked).toContain('\\"total\\":0');
    expect(locked).toBe(await world("never-was-there1"));
  });

  test(
    "an accounting is paged to its end in each form, each page has its own record, and the pages check offline together",
    { timeout: 60_000 },
    async ({ expect }) => {
      for (let i = 0; i < 7; i++) await ask("public-health", "Patient/carl");
      const keys = Object.values(phylax.dev.logs).flatMap((key) => ["--key", key]);
      for (const format of ["json", "text/csv", "text/html"]) {
        const files: string[] = [];
        const shown: string[] = [];
        let next: string | undefined = `Patient/carl/$disclosures?_count=3&_format=${format}`;
        while (next !== undefined) {
          const page: Awaited<ReturnType<typeof ask>> = await ask("privacy-officer", next);
          expect(page.status, page.text).toBe(200);
          expect(page.headers["phylax-receipt"]).toBeDefined();
          files.push(join(bundles, `page-${files.length}`));
          writeFileSync(files.at(-1) ?? "", page.text);
          next = /^<(?<url>.*)>; rel="next"$/u.exec(page.headers["link"]?.toString() ?? "")?.groups?.["url"];
          if (format === "json") {
            const {
              total,
              link = [],
              entry,
            } = JSON.parse(page.text) as {
              total?: number;
              link?: { relation: string; url: string }[];
              entry: { fullUrl?: string }[];
            };
            expect([total, link.find(({ relation }) => relation === "next")?.url]).toEqual([undefined, next]);
            shown.push(...entry.flatMap(({ fullUrl }) => fullUrl ?? []));
          }
        }
        expect(files, format).toHaveLength(3);
        if (format === "json") expect([shown.length, new Set(shown).size]).toEqual([7, 7]);
        const { code, out, error } = await command("accounting", "check", ...files, ...keys);
        expect(code, format + out + error).toBe(0);
        expect(out).toContain("7 of 7 lines are proven");
      }
      const records = await openLedger(phylax.dev);
      const pages = records.filter(({ event }) => event.kind === "accounting" && event.what?.id === "carl");
      expect(pages.length).toBeGreaterThanOrEqual(9);
      expect(
        pages.filter(({ event }) => event.what?.parameters?.some(([name]) => name === "after")).length,
      ).toBeGreaterThanOrEqual(6);
    },
  );

  test("a page's link opens for no further client and no further patient, and with no parameter added", async ({
    expect,
  }) => {
    const { headers } = await ask("privacy-officer", "Patient/carl/$disclosures?_count=3");
    const next = /<(.*)>/u.exec(headers["link"]?.toString() ?? "")?.[1] ?? "";
    expect((await ask("privacy-officer", next)).status).toBe(200);
    expect((await ask("privacy-officer", next.replace("/carl/", "/bela/"))).status).toBe(410);
    expect((await ask("patient-app", next)).status).toBe(410);
    expect((await ask("privacy-officer", `${next}&all=true`)).status).toBe(400);
  });

  test("repeated disclosures are summed on request, and recipient and purpose list the single lines of a sum", async ({
    expect,
  }) => {
    const summed = await accounting("privacy-officer", "carl", "?summed=true");
    expect(summed.lines).toHaveLength(1);
    expect(
      ["number", "disclosed-in-all", "proof"].map((type) =>
        detailOf(summed.lines[0] as AccountedEvent, type),
      ),
    ).toEqual(["7", "Patient 7", undefined]);
    const single = await accounting(
      "privacy-officer",
      "carl",
      "?recipient=public-health&purpose=PUBHLTH&all=true",
    );
    expect(single.lines).toHaveLength(7);
    expect(single.lines.map(({ recorded }) => recorded).toSorted()[6]).toBe(
      detailOf(summed.lines[0] as AccountedEvent, "last"),
    );
    expect((await accounting("privacy-officer", "carl", "?recipient=payer")).lines).toEqual([]);
    const [first] = single.lines.map(({ recorded }) => recorded).toSorted();
    expect((await accounting("privacy-officer", "carl", `?start=${first}&end=${first}`)).lines).toHaveLength(
      1,
    );
    writeFileSync(join(bundles, "summed"), summed.text);
    expect(
      await command(
        "accounting",
        "check",
        join(bundles, "summed"),
        "--key",
        phylax.dev.logs[Object.keys(phylax.dev.logs)[0] ?? ""] ?? "",
      ),
    ).toMatchObject({
      code: 2,
      error: expect.stringContaining("sums have no proofs"),
    });
  });

  test("no further client gets an accounting: by policy and type 403, and an unrelated patient is as absent as a patient who does not exist", async ({
    expect,
  }) => {
    for (const client of ["telehealth", "payer", "operations", "public-health", "research"])
      expect((await ask(client, "Patient/amara-okafor/$disclosures")).status, client).toBe(403);
    const face = ({ status, text }: { readonly status: number; readonly text: string }) => [
      status,
      text.replaceAll(/Request [0-9a-f]{32}/gu, ""),
    ];
    const absent = face(await ask("patient-app", "Patient/nobody/$disclosures"));
    expect(absent[0]).toBe(404);
    for (const id of ["bela", "amara-old", "carl"])
      expect(face(await ask("patient-app", `Patient/${id}/$disclosures`)), id).toEqual(absent);
    expect(
      (await accounting("privacy-officer", "nobody")).lines,
      "an officer learns by the id alone",
    ).toEqual([]);
    const narrow = await phylax.token("patient-app", { scope: "patient/Patient.r" });
    const headers = { authorization: `Bearer ${narrow}` };
    expect((await phylax.ask("patient-app", "Patient/amara-okafor/$disclosures", { headers })).status).toBe(
      403,
    );
    expect((await ask("privacy-officer", "Observation?patient=bela")).status).toBe(403);
  });

  test("an accounting is on record: the look-up before the answer, and the disclosure", async ({
    expect,
  }) => {
    await accounting("privacy-officer", "amara-okafor");
    const records = await openLedger(phylax.dev);
    const own = records.filter(
      ({ event }) => event.who?.client === "privacy-officer" && event.kind === "accounting",
    );
    const named = own.map(({ event }) => event.patients.map(({ patient }) => patient).join());
    expect(named).toContain("main/Patient/amara-okafor,main/Patient/amara-old");
    const answered = records.filter(
      ({ event }) => event.kind === "disclosure" && own.some((one) => one.event.id === event.id),
    );
    expect(answered.length).toBeGreaterThan(0);
    expect(
      answered.every(
        ({ event }) => event.what?.interaction === "$disclosures" && event.who?.client === "privacy-officer",
      ),
    ).toBe(true);
    expect(answered.length).toBe(own.length);
  });

  test("the individual sees beside a line the Consent that let it through, also after its withdrawal; the officer sees it only in the individual's version", async ({
    expect,
  }) => {
    const token = await outsideToken(deskIssuer, desk, { client_id: "consent-desk", scope: "system/*.crus" });
    const thp = "http://terminology.hl7.org/CodeSystem/";
    const consent = (status: string, id?: string) => ({
      resourceType: "Consent",
      ...(id !== undefined && { id }),
      status,
      scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
      category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
      patient: { reference: "Patient/dana" },
      dateTime: "2026-10-01",
      policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTIN" }] },
      provision: { type: "permit", purpose: [{ system: `${thp}v3-ActReason`, code: "TREAT" }] },
    });
    const send = (method: string, path: string, body: object) =>
      askAs(phylax, desk, token, path, fhirSending(method, body));
    const filed = await send("POST", "Consent", consent("active"));
    expect(filed.status, filed.text).toBe(201);
    const id = /Consent\/(?<id>[^/]+)/u.exec(filed.headers["location"] ?? "")?.groups?.["id"] ?? "";
    const readAs = async (client: string, holder: CertificateFiles, path: string) => {
      const scope = "system/*.crus";
      const own = await outsideToken(deskIssuer, holder, { client_id: client, scope });
      return (await askAs(phylax, holder, own, path)).status;
    };
    const own = async (patient: string, query = "") => {
      const { status, text } = await askOwn(patient, `Patient/${patient}/$disclosures?all=true${query}`);
      if (status !== 200) throw new Error(text);
      return text;
    };
    const beside = (line: AccountedEvent) =>
      line.entity.filter((each) => each.what?.type === "Consent").map(() => detailOf(line, "consent"));
    const linesIn = (text: string) => {
      const { entry: lines } = JSON.parse(text) as {
        readonly entry: readonly { readonly resource: AccountedEvent }[];
      };
      return lines.map(({ resource }) => resource).filter((line) => line.agent !== undefined);
    };
    /** The Consents beside the last line of the clinic. */
    const lastIn = (text: string) => {
      const last = linesIn(text).findLast((line) => recipientOf(line) === "clinic");
      return last === undefined ? undefined : beside(last);
    };
    // A filed Consent counts everywhere within ten seconds (P4).
    vi.useFakeTimers({ toFake: ["Date"], shouldAdvanceTime: true, now: Date.now() + 11_000 });
    expect(await readAs("clinic", clinic, "Observation/of-dana")).toBe(200);
    const shown = lastIn(await own("dana"));
    expect(shown).toEqual([
      expect.stringMatching(
        /^Consent given 2026-10-01, filed 20.*Z, for treatment \(TREAT\) \(digest [0-9a-f]{64}\)$/u,
      ),
    ]);
    expect(await readAs("clinic", clinic, "Patient/emma")).toBe(200);
    expect((await send("PUT", `Consent/${id}`, consent("inactive", id))).status).toBe(200);
    const saved = await own("dana");
    const html = await own("dana", "&_format=text/html");
    const csv = await own("dana", "&_format=text/csv");
    expect(lastIn(saved), "the line of a past disclosure stays").toEqual(shown);
    for (const line of linesIn(saved)) {
      const json = readJson(new TextEncoder().encode(JSON.stringify(line)));
      expect(json.ok && validateResource(json.value as JsonObject)).toEqual([]);
    }
    expect(html).toContain("The consent given October 1, 2026 (on file since ");
    expect(csv.split("\r\n")[0]).toMatch(/,ledger line,consent,proof$/u);
    expect(await own("emma"), "of a different patient").not.toContain("Consent given");
    for (const query of ["?all=true", "?all=true&_format=text/html"]) {
      const officers = await ask("privacy-officer", `Patient/dana/$disclosures${query}`);
      expect(officers.text).not.toMatch(/consent given/iu);
      const handedOut = await ask("privacy-officer", `Patient/dana/$disclosures${query}&for=individual`);
      expect(handedOut.text).toMatch(/consent given/iu);
    }
    expect(
      (await openLedger(phylax.dev)).some(({ event }) => event.permits !== undefined),
      "no record has it",
    ).toBe(false);
    const file = join(bundles, "with-consent");
    const keys = Object.values(phylax.dev.logs).flatMap((key) => ["--key", key]);
    const checked = async (format: string) => {
      writeFileSync(file, await own("dana", format));
      return command("accounting", "check", file, ...keys);
    };
    // A line has its proof once its log has signed a checkpoint over it.
    for (const format of ["", "&_format=text/html", "&_format=text/csv"])
      await expect.poll(() => checked(format), patience).toMatchObject({ code: 0, error: "" });
  });
});
