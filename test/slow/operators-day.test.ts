import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { DevOfficer } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { issueClientCertificate, x5tS256, type CertificateFiles } from "../../sandbox/certificates.ts";
import { phylaxProcess } from "../cli/phylax.ts";
import { openLedger } from "../support/auditor.ts";
import { officerToken } from "../support/officer-web.ts";
import { patience } from "../support/patience.ts";
import { preparedState, startTestStack, type TestStack } from "../support/stack.ts";

/*
 * An operator's day in a deployment with `two-persons`, through the real command: each step by a person who signed in,
 * and what opens access by two persons.
 */

const state = preparedState();
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({ state, twoPersons: true });
});
afterAll(async () => {
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

const file = (name: string): string => join(state, name);

/** The options of an operator who has signed in now. */
async function signedIn(id: string): Promise<readonly string[]> {
  const officer = phylax.dev.officers.find((each): each is DevOfficer => each.id === id);
  if (officer === undefined) throw new Error(`no operator ${id}`);
  writeFileSync(file(`${id}.token`), await officerToken(phylax.dev, officer));
  return ["--operator", id, "--operator-token", file(`${id}.token`), "--state", state];
}

let officer: readonly string[];
let approver: readonly string[];

async function run(args: readonly string[], as: readonly string[] = []): Promise<string> {
  const { code, out, error } = await phylaxProcess(state, ...args, ...as);
  expect(code, `${args.join(" ")}: ${error}${out}`).toBe(0);
  return out;
}

/** Proposes an act as the officer, and approves it as the approver, who is a second person. */
async function byTwo(...args: readonly string[]): Promise<string> {
  const alone = await phylaxProcess(state, ...args, ...officer);
  expect([alone.code, alone.error], "one person alone").toEqual([
    2,
    expect.stringContaining("needs a second person's approval"),
  ]);
  const proposed = await run([...args, "--why", "CHG-1"], officer);
  const id = /^proposed: ([0-9a-f]{32})$/mu.exec(proposed)?.[1] ?? "";
  const self = await phylaxProcess(state, "approve", id, ...officer);
  expect(self.code, "the officer is no approver").toBe(2);
  expect(await run(["proposals", "show", id], approver)).toContain("opens: ");
  return await run(["approve", id], approver);
}

interface Identity extends CertificateFiles {
  token: string;
}

async function tokenFor(files: CertificateFiles): Promise<Identity> {
  const reply = await send(phylax.dev, files, phylax.dev.tokenEndpoint, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials&client_id=imaging",
  });
  expect(reply.status, reply.text).toBe(200);
  const { access_token: token }: { access_token: string } = JSON.parse(reply.text);
  return { ...files, token };
}

const read = (who: Identity) =>
  send(phylax.dev, who, `${phylax.dev.fhir}/Patient/amara-okafor`, {
    headers: { authorization: `Bearer ${who.token}` },
  });

const soon = (check: () => Promise<void>) => vi.waitFor(check, patience);

test("a client from its first day to its last: each step by the command, in force, and on record with its persons", async () => {
  [officer, approver] = [await signedIn("officer"), await signedIn("approver")];
  const pki = join(state, "pki");
  const [first, next] = [
    await issueClientCertificate(pki, "imaging", "O=Test, CN=imaging"),
    await issueClientCertificate(pki, "imaging-next", "O=Test, CN=imaging"),
  ];
  const began = new Date(Date.now() - 1_000).toISOString();

  // Onboarding in one act.
  writeFileSync(file("baa.pdf"), "a signed contract");
  const registered = ["--kind", "laboratory", "--auth", "tls_client_auth", "--cert", first.cert];
  const contract = ["--agreement", "imaging-baa", "--document", file("baa.pdf"), "--to", "2036-01-01"];
  const access = ["--purpose", "TREAT", "--policy", "treat", "--scopes", "system/Patient.rs"];
  await byTwo("client", "add", "imaging", ...registered, ...contract, ...access);
  expect(await run(["client", "list", "imaging"], officer)).toMatch(/ready$/mu);
  const old = await tokenFor(first);
  const whole: object = JSON.parse((await read(old)).text);
  expect(whole).toMatchObject({ resourceType: "Patient", address: expect.anything() });

  // A policy of two persons changes the read.
  writeFileSync(file("who.json"), JSON.stringify(whoAPatientIs));
  await byTwo("policy", "publish", file("who.json"), "--grant", "imaging/main/TREAT");
  await soon(async () => {
    const cut: object = JSON.parse((await read(old)).text);
    expect(cut).toMatchObject({ name: expect.anything() });
    expect(cut).not.toHaveProperty("address");
  });

  // A certificate is rotated, and no request fails.
  [officer, approver] = [await signedIn("officer"), await signedIn("approver")];
  const over = new AbortController();
  let who = old;
  const statuses: number[] = [];
  const load = (async () => {
    while (!over.signal.aborted) {
      statuses.push((await read(who)).status);
      await wait(50);
    }
  })();
  await byTwo("client", "rotate", "imaging", "--cert", next.cert);
  let fresh = old;
  await soon(async () => {
    fresh = await tokenFor(next);
  });
  expect((await read(old)).status, "both are accepted at once").toBe(200);
  who = fresh;
  await wait(200);
  await run(["client", "retire", "imaging", "--cert", first.cert], officer);
  await soon(async () => expect((await read(old)).status).toBe(401));
  over.abort();
  await load;
  expect(statuses.length).toBeGreaterThan(10);
  expect(
    statuses.filter((status) => status !== 200),
    "failed requests of the rotating client",
  ).toEqual([]);

  // Its quota is lowered by one person.
  await run(["client", "quota", "imaging", "--requests", "77"], officer);
  await soon(async () => expect((await read(fresh)).headers["ratelimit-policy"]).toContain("q=77"));

  // The registry and the ledger are backed up.
  await run(["backup", file("backup"), "--ledger", phylax.dev.ledger, "--keys", file("dev.json")], officer);

  // The agreement ends, and its certificate is listed as no longer needed.
  const endedOut = await run(["agreement", "end", "imaging-baa"], officer);
  expect(endedOut).toMatch(/^unneeded: certificate \S{43}: every agreement has ended$/mu);
  await soon(async () => expect((await read(fresh)).status).not.toBe(200));

  // Who saw a patient, and the scope of a breach by certificate.
  const asAuditor = ["--key", phylax.dev.auditors[0]?.key ?? "", "--keys", join(state, "dev.json")];
  const patient = "main/Patient/amara-okafor";
  const seen = await run(["disclosures", patient, phylax.dev.ledger, ...asAuditor, "--from", began]);
  expect(seen).toMatch(/ imaging {2}TREAT {2}Patient 1 /u);
  const scope = async (certificate: string): Promise<number> => {
    const out = await run([
      "breach-scope",
      phylax.dev.ledger,
      "--from",
      began,
      "--to",
      new Date(Date.now() + 60_000).toISOString(),
      ...asAuditor,
      "--certificate",
      certificate,
      "--json",
    ]);
    return (JSON.parse(out) as { individuals: number }).individuals; // our command's own form
  };
  expect(await scope(x5tS256(readFileSync(first.cert, "utf8")))).toBe(1);
  expect(await scope("N".repeat(43)), "a certificate that never asked").toBe(0);

  // A mistake: the client is removed. The registry is restored from the backup, and from the records alone.
  [officer, approver] = [await signedIn("officer"), await signedIn("approver")];
  await run(["client", "remove", "imaging"], officer);
  expect((await phylaxProcess(state, "client", "list", "imaging", ...officer)).code).toBe(2);
  const rebuilt = ["restore", "registry", file("rebuilt.json"), join(file("backup"), "ledger"), ...asAuditor];
  expect(await run(rebuilt)).toMatch(/entries from \d+ changes$/mu);
  expect(readFileSync(file("rebuilt.json"), "utf8")).toContain("imaging-baa");
  await run(
    ["registry", "plan", join(file("backup"), "registry.json"), "--out", file("change.json")],
    officer,
  );
  const proposed = await run(["propose", file("change.json"), "--why", "CHG-2: restored"], officer);
  await run(["approve", /^proposed: ([0-9a-f]{32})$/mu.exec(proposed)?.[1] ?? ""], approver);
  expect(await run(["client", "list", "imaging"], officer)).toMatch(/ready$/mu);

  // Each step is on record: who did it, and who approved what a second person proposed.
  const acts = (await openLedger(phylax.dev)).flatMap(({ event }) =>
    event.kind === "administration" && event.outcome?.status === 200 ? [event] : [],
  );
  const approvals = acts.filter(({ what }) => what?.interaction === "approve");
  expect(approvals).toHaveLength(4);
  for (const { who: person, approval } of approvals)
    expect([person?.operator, person?.subject, approval]).toEqual([
      "approver",
      "officer-2",
      expect.objectContaining({ proposedBy: "officer", proposerSubject: "officer-1" }),
    ]);
  const byOne = acts.filter(({ what }) => what?.interaction === "change-registry");
  expect(byOne.map(({ who: person }) => person?.operator)).toEqual(
    Array.from({ length: 4 }, () => "officer"),
  );
}, 400_000);

const whoAPatientIs = {
  format: "phylax.policy.v1",
  name: "who-a-patient-is",
  title: "Who a patient is",
  purposes: ["TREAT"],
  rules: [
    {
      types: ["Patient"],
      interactions: ["read", "search"],
      show: ["name", "birthDate"],
      why: "45 CFR 164.506(c): treatment.",
      examples: [{ says: "A patient is found by name.", request: "Patient?name=Okafor", is: "permitted" }],
    },
  ],
};
