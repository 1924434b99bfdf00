import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ensureAuthority, issueClientCertificate } from "../../sandbox/certificates.ts";
import { commandIn } from "../support/in-process/command.ts";
import { openLedger } from "../support/auditor.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { patience } from "../support/patience.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

const command = (...args: readonly string[]) =>
  phylax.within(() => commandIn(phylax.home, ...args, "--state", join(phylax.home, ".phylax")));
const file = (name: string): string => join(phylax.home, name);

/** Plans a change, applies it, and answers the printed plan. */
async function change(...args: readonly string[]): Promise<string> {
  const planned = await command("registry", "plan", ...args, "--out", file("change.json"));
  expect(planned.code, planned.error).toBe(0);
  const applied = await command("registry", "apply", file("change.json"));
  expect(applied.code, applied.error).toBe(0);
  return planned.out;
}

/** The registry as a file, with an entry of a list altered. */
async function exportedWith(
  list: string,
  alter: (entry: Record<string, unknown>) => boolean,
): Promise<string> {
  expect(await command("registry", "export", file("registry.json"))).toMatchObject({ code: 0 });
  const whole = JSON.parse(readFileSync(file("registry.json"), "utf8")) as Record<
    string,
    Record<string, unknown>[]
  >;
  expect(whole[list]?.filter(alter), "exactly one entry is meant").toHaveLength(1);
  writeFileSync(file("registry.json"), JSON.stringify(whole));
  return file("registry.json");
}

const soon = (check: () => Promise<void>) => vi.waitFor(check, patience);
const status = async (id: string) => (await phylax.ask(id, "Patient/amara-okafor")).status;

test("an operator lists the registry, and a plan of the exported file changes nothing", async () => {
  const shown = await command("registry", "show", "clients");
  expect(shown.code, shown.error).toBe(0);
  expect(shown.out).toMatch(/^ {2}telehealth +\S+ +active +\S+$/mu);
  expect((await command("registry", "show", "nothing")).code).toBe(2);
  const same = await exportedWith("clients", ({ id }) => id === "telehealth");
  expect((await command("registry", "plan", same)).out).toBe("nothing changes\n");
});

test("a grant's quota and policy change by a plan that says what the new policy shows", async () => {
  const changed = await exportedWith("grants", (grant) => {
    if (grant["client"] !== "operations" || grant["purpose"] !== "HOPERAT") return false;
    grant["quotas"] = { default: { requests: 77, windowSeconds: 60 } };
    grant["policy"] = "privacy-office";
    return true;
  });
  const plan = await change(changed);
  expect(plan).toMatch(/^~ grant operations main HOPERAT\n/u);
  expect(plan).toMatch(/^ {4}policy: sha256:[0-9a-f]{64} -> sha256:[0-9a-f]{64}\n {6}/mu);
  expect(plan, "the new policy permits less, and an operation more").toMatch(
    /^ {8}\+ operation disclosures$/mu,
  );
  expect(plan).toMatch(/^ {4}quotas: \{.*\} -> \{.*"requests":77.*\}$/mu);
  expect(plan).toContain("0 to add, 1 to change, 0 to remove\n");
  await soon(async () => {
    const { headers } = await phylax.ask("operations", "Patient/amara-okafor");
    expect(headers["ratelimit-policy"]).toContain("q=77;w=60");
  });
});

test("a plan on a registry that has changed meanwhile is refused when it is applied", async () => {
  const stale = await command("registry", "plan", "--remove", "client:lapsed", "--out", file("stale.json"));
  expect(stale.code, stale.error).toBe(0);
  await change("--remove", "client:sampler");
  expect(await command("registry", "apply", file("stale.json"))).toMatchObject({
    code: 2,
    error: expect.stringContaining("/expects the registry has changed since the plan"),
  });
  expect((await command("registry", "show", "clients")).out).toMatch(/^ {2}lapsed /mu);
});

test("an agreement that ends early, and a removed client, are refused", async () => {
  expect(await status("telehealth")).toBe(200);
  const ended = await exportedWith("agreements", (agreement) => {
    if (agreement["client"] !== "telehealth") return false;
    agreement["to"] = new Date(Date.now() - 1_000).toISOString();
    return true;
  });
  expect(await change(ended)).toMatch(/^~ agreement telehealth-\S+\n {4}to: \S+ -> \S+\n/u);
  await soon(async () => expect(await status("telehealth")).toBe(403));

  expect(await status("payer")).not.toBe(401);
  expect(await change("--remove", "client:payer")).toContain("- client payer\n");
  await soon(async () => expect(await status("payer")).toBe(401));
});

test("each read, plan and change of the registry is on record with its operator", async () => {
  const records = await phylax.records();
  const done = records.flatMap(({ event: { kind, what, who } }) =>
    kind === "administration" ? [`${who?.operator} ${what?.interaction}`] : [],
  );
  for (const interaction of ["show-registry", "plan-registry", "change-registry"])
    expect(done).toContainEqual(expect.stringMatching(new RegExp(`^\\S+ ${interaction}$`, "u")));
});

test("an applied origin is probed without a write; the findings are on record, and readiness shows them until the entry changes", async () => {
  const types = { Patient: { interactions: ["read", "search-type"], search: ["name", "birthdate"] } };
  const entry = { name: "second", url: phylax.dev.origin, credentials: { kind: "none" } };
  const applied = async (more: object, ...args: readonly string[]) => {
    writeFileSync(file("second.json"), JSON.stringify({ origins: [{ ...entry, ...more }] }));
    return command("registry", "plan", file("second.json"), "--out", file("change.json")).then(() =>
      command("registry", "apply", file("change.json"), ...args),
    );
  };
  const probed = async () => {
    const answer = await phylax.fetch(new Request(`${new URL(phylax.dev.fhir).origin}/readyz`));
    const { probes }: { probes: Readonly<Record<string, string>> } = await answer.json();
    return probes["second"];
  };
  const written = phylax.forwarded.length;
  const fine = await applied({ capabilities: { strict: true, searchByPost: true, types } });
  expect([fine.code, fine.error]).toEqual([0, ""]);
  expect(await probed()).toBe("as_registered_reading");
  const writes = phylax.forwarded
    .slice(written)
    .filter((line) => !/^(?:GET .*|POST .*\/_search)$/u.test(line));
  expect(writes).toEqual([]);

  const more = {
    Patient: { ...types.Patient, interactions: ["read", "history-type"] },
    Nothing: types.Patient,
  };
  const less = await applied({ capabilities: { types: more } });
  expect(less.code, "the entry is registered").toBe(0);
  expect(less.error).toContain(
    "origin second: the probe found less than capabilities/types/Nothing of its entry",
  );
  expect(await probed()).toBe("otherwise");
  const skipped = await applied({ capabilities: { types } }, "--no-probe");
  expect([skipped.code, await probed()]).toEqual([0, "never"]);

  const probes = (await openLedger(phylax.dev)).filter(
    ({ event }) => event.what?.interaction === "record-origin-probe",
  );
  const texts = probes.flatMap(({ event }) => event.document?.text ?? []);
  expect(texts.map((text) => JSON.parse(text))).toContainEqual(
    expect.objectContaining({ origin: "second", wrote: false, missing: [] }),
  );
  expect(texts.join()).toContain("capabilities/types/Nothing");
});

test("the ledger has each changed entry before and after, and the submitted document, also a long one", async () => {
  const long = JSON.stringify({ policies: Array.from({ length: 20 }, (_, i) => policyNamed(`p${i}`)) });
  expect(long.length, "it needs several definitions").toBeGreaterThan(240_000);
  writeFileSync(file("long.json"), long);
  const added = await command("registry", "apply", file("long.json"));
  expect(added.out, added.error).toMatch(/20 added, 0 changed\n$/u);

  const opened = await openLedger(phylax.dev);
  const documents = (interaction: string) =>
    [...Map.groupBy(opened, ({ event }) => event.id).values()]
      .map((records) => records.map(({ event }) => event))
      .filter(([first]) => first?.what?.interaction === interaction);
  const removal = documents("change-registry").find((events) =>
    events[0]?.document?.text?.includes('"payer"'),
  );
  expect(JSON.parse(removal?.[0]?.document?.text ?? "")).toMatchObject({ remove: { clients: ["payer"] } });
  expect(JSON.parse(removal?.at(-1)?.document?.text ?? "")).toContainEqual(
    expect.objectContaining({
      kind: "client",
      name: "payer",
      before: expect.objectContaining({ id: "payer" }),
    }),
  );
  const whole = (documents("apply-registry").at(-1) ?? []).filter(
    ({ document }) => document?.role === "submitted",
  );
  expect(whole.map(({ document }) => document?.text).join("")).toBe(long);
  expect(whole.length).toBeGreaterThan(2);
});

const policyNamed = (name: string) => ({
  name,
  body: { ...(JSON.parse(readFileSync("policies/treat.json", "utf8")) as object), name },
});

test("a client is registered in one act, rotated, limited, suspended and ended by commands, and the list says what it lacks", async () => {
  const pki = file("pki");
  await ensureAuthority(pki);
  const [first, second] = [
    await issueClientCertificate(pki, "imaging", "O=Test, CN=imaging"),
    await issueClientCertificate(pki, "imaging-next", "O=Test, CN=imaging"),
  ];
  writeFileSync(file("baa.pdf"), "a signed contract");
  const run = async (...args: readonly string[]) => {
    const ended = await command(...args);
    expect(ended.code, ended.error).toBe(0);
    return ended.out;
  };
  const listed = () => run("client", "list", "imaging");

  await run(
    "client",
    "add",
    "imaging",
    "--kind",
    "laboratory",
    "--auth",
    "tls_client_auth",
    "--cert",
    first.cert,
  );
  expect(await listed()).toMatch(/missing: an agreement in force\n.*missing: a grant/u);
  const registered = ["--auth", "tls_client_auth", "--kind", "laboratory", "--cert", first.cert];
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const agreement = ["--agreement", "imaging-baa", "--document", file("baa.pdf"), "--to", to];
  const grant = ["--purpose", "TREAT", "--policy", "treat"];
  const added = await run("client", "add", "imaging", ...registered, ...agreement, ...grant);
  expect(added).toMatch(/imaging {2}laboratory {2}active .* ready\n {2}ends: agreement imaging-baa/u);

  await run("client", "rotate", "imaging", "--cert", second.cert);
  expect(await listed()).toContain("2 certificates");
  await run("client", "retire", "imaging", "--cert", first.cert);
  expect(await listed()).toContain("1 certificates");
  expect((await command("client", "retire", "imaging", "--cert", first.cert)).code).toBe(2);

  expect(await run("client", "quota", "imaging", "--requests", "7")).toContain('"requests":7,');
  await run("client", "suspend", "imaging");
  expect(await listed()).toContain("missing: the end of its suspension");
  await run("client", "reinstate", "imaging");
  await run("client", "end", "imaging");
  expect(await listed()).toContain("missing: an agreement in force");
  await run("client", "remove", "imaging");
  expect((await command("client", "list", "imaging")).code).toBe(2);
});

test("a limited data set is granted to a new client under a data use agreement alone, and a renewal is one too", async () => {
  const pki = file("pki");
  await ensureAuthority(pki);
  const { cert } = await issueClientCertificate(pki, "heart", "O=Test, CN=heart");
  writeFileSync(file("dua.pdf"), "a data use agreement");
  const client = [
    "client",
    "add",
    "heart",
    "--kind",
    "research",
    "--auth",
    "tls_client_auth",
    "--cert",
    cert,
  ];
  const contract = ["--agreement", "heart-dua", "--document", file("dua.pdf"), "--to", "2036-01-01"];
  const grant = ["--purpose", "HRESCH", "--policy", "hresch-limited"];
  const adds = (...kind: readonly string[]) => command(...client, ...contract, ...grant, ...kind);
  for (const kind of [[], ["--agreement-kind", "business-associate"], ["--agreement-kind", "dua"]])
    expect((await adds(...kind)).code, kind.join(" ")).toBe(2);
  expect((await command("client", "list", "heart")).code, "nothing was registered").toBe(2);
  expect(await adds("--agreement-kind", "data-use")).toMatchObject({ code: 0 });
  expect((await command("agreement", "show", "heart-dua")).out).toContain("kind: data-use");
  const renewal = ["--new-id", "heart-dua-2", "--document", file("dua.pdf"), "--to", "2037-01-01"];
  expect(await command("agreement", "renew", "heart-dua", ...renewal)).toMatchObject({ code: 0 });
  expect((await command("agreement", "show", "heart-dua-2")).out).toContain("kind: data-use");
});

test("an agreement is renewed with its grants and ended, and its needless certificates are listed", async () => {
  const pki = file("pki");
  await ensureAuthority(pki);
  const { cert } = await issueClientCertificate(pki, "archive", "O=Test, CN=archive");
  writeFileSync(file("one.pdf"), "a signed contract");
  writeFileSync(file("two.pdf"), "the next contract");
  const run = async (...args: readonly string[]) => {
    const ended = await command(...args);
    expect(ended.code, ended.error).toBe(0);
    return ended.out;
  };
  const to = new Date(Date.now() + 86_400_000).toISOString();
  const registered = ["--auth", "tls_client_auth", "--kind", "laboratory", "--cert", cert];
  const contract = ["--agreement", "archive-1", "--document", file("one.pdf"), "--to", to];
  await run(
    "client",
    "add",
    "archive",
    ...registered,
    ...contract,
    "--purpose",
    "TREAT",
    "--policy",
    "treat",
  );
  expect(await run("agreement", "list", "archive")).toMatch(
    /^archive-1 {2}archive {2}ends soon .* main\/TREAT$/mu,
  );
  expect(await run("agreement", "show", "archive-1", "--document", file("one.pdf"))).toContain(
    "is the registered",
  );
  expect((await command("agreement", "show", "archive-1", "--document", file("two.pdf"))).code).toBe(1);
  expect(await command("agreement", "show", "archive-2")).toMatchObject({
    code: 2,
    error: expect.stringContaining("phylax agreement list"),
  });

  const next = ["--new-id", "archive-2", "--document", file("two.pdf"), "--to", "2036-01-01"];
  expect(await command("agreement", "renew", "archive-1", "--to", "2036-01-01")).toMatchObject({ code: 2 });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  expect(await command("agreement", "renew", "archive-1", ...next, "--from", later)).toMatchObject({
    code: 2,
    error: expect.stringContaining("archive would be refused until then"),
  });
  expect(await run("agreement", "list", "archive"), "the grant stays").toMatch(
    /^archive-1 .* main\/TREAT$/mu,
  );
  const renewed = await run("agreement", "renew", "archive-1", ...next);
  expect(renewed).toMatch(/^\+ agreement archive-2$/mu);
  expect(renewed).toMatch(/agreement: archive-1 -> archive-2$/mu);
  expect((await command("agreement", "renew", "archive-1", ...next)).code, "the new id is taken").toBe(2);
  const listed = await run("agreement", "list", "archive");
  expect(listed).toMatch(/^archive-1 {2}archive .* no grant$/mu);
  expect(listed).toMatch(/^archive-2 {2}archive {2}in force .* main\/TREAT$/mu);

  await run("agreement", "end", "archive-1");
  expect(await run("client", "list", "archive"), "the next agreement needs the certificate").not.toContain(
    "unneeded",
  );
  const ended = await run("agreement", "end", "archive-2");
  expect(ended).toMatch(/^- grant archive main TREAT$/mu);
  expect(ended).toMatch(/^unneeded: certificate \S{43}: every agreement has ended$/mu);
  expect(await run("client", "list", "archive")).toMatch(/^ {2}unneeded: certificate /mu);
  expect(await run("agreement", "list", "archive")).not.toContain("in force");
  expect(await run("agreement", "end", "archive-2")).toContain("nothing changes");

  // The present agreement has ended, so that the next may begin later, and may end before it begins.
  const third = ["--new-id", "archive-3", "--document", file("one.pdf"), "--to", "2036-01-01"];
  await run("agreement", "renew", "archive-2", ...third, "--from", later);
  expect(await run("agreement", "end", "archive-3")).toContain(
    "archive-3 has not begun: it ends as it begins",
  );
  expect(await run("agreement", "show", "archive-3", "--json")).toContain(
    new Date(Date.parse(later) + 1).toISOString(),
  );
  expect(await run("agreement", "end", "archive-3")).toContain("nothing changes");
});

test("the accounting of disclosures says who saw a patient, as a client that may read it", async () => {
  await phylax.ask("operations", "Patient/amara-okafor");
  const listed = await command("disclosures", "main/Patient/amara-okafor", "--as", "privacy-officer");
  expect([listed.code, listed.error]).toEqual([0, ""]);
  expect(listed.out).toMatch(/ operations .*HOPERAT .*Patient 1 /u);
  expect(listed.out).toMatch(/^\d+ disclosures$/mu);
  expect(await command("disclosures", "main/Patient/amara-okafor", "--as", "public-health")).toMatchObject({
    code: 1,
    error: expect.stringContaining("operation disclosures"),
  });
  expect((await command("disclosures", "other/Patient/a", "--as", "privacy-officer")).code).toBe(2);
});

test("a policy is published, and a grant gets it, in one command", async () => {
  writeFileSync(
    file("narrow.json"),
    JSON.stringify({
      format: "phylax.policy.v1",
      name: "narrow",
      title: "Who a patient is",
      purposes: ["HOPERAT"],
      rules: [
        {
          types: ["Patient"],
          interactions: ["read"],
          show: ["name"],
          why: "45 CFR 164.506(c): operations.",
          examples: [{ says: "A patient is read by id.", request: "Patient/1", is: "permitted" }],
        },
      ],
    }),
  );
  const done = await command("policy", "publish", file("narrow.json"), "--grant", "operations/main/HOPERAT");
  expect(done.code, done.error).toBe(0);
  expect(done.out).toMatch(/^\+ policy sha256:[0-9a-f]{64}\n~ grant operations main HOPERAT\n/u);
  expect((await command("policy", "publish", file("registry.json"))).code, "a file that is no policy").toBe(
    2,
  );
});
