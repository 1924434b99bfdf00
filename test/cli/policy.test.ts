import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConsent } from "#policy/consent/read-consent";
import { storedFormOf } from "#policy/consent/stored-form";
import { phylaxIn } from "./phylax.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/policy.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "policies-"));
afterAll(() => rmSync(folder, { recursive: true }));
const phylax = (...args: readonly string[]) => phylaxIn(folder, ...args);
const put = (name: string, body: unknown) => writeFileSync(join(folder, name), JSON.stringify(body));

interface Example {
  rules: { show: string[]; examples: { resource: unknown }[] }[];
}
const policy = JSON.parse(
  /```json\n(?<body>\{\n {2}"format"[\s\S]*?)```/u.exec(page)?.groups?.["body"] ?? "",
) as Example;
put("member-identity.json", policy);
put("narrower.json", {
  ...policy,
  rules: policy.rules.map((rule) => ({ ...rule, show: rule.show.filter((path) => path !== "birthDate") })),
});
put("member.json", policy.rules[0]?.examples[0]?.resource);
put("registry.json", JSON.parse(readFileSync(join(root, "examples/registry.json"), "utf8")));

const commands = [
  ...page.matchAll(/```console\n\$ npx --no phylax (?<line>.*)\n(?<printed>[\s\S]*?)```/gu),
].map(({ groups }) => ({
  line: groups?.["line"] ?? "",
  printed: groups?.["printed"] ?? "",
}));

test("docs/policy.md shows each of the three commands", () => {
  expect(new Set(commands.map(({ line }) => line.split(" ").slice(0, 2).join(" ")))).toEqual(
    new Set(["policy check", "policy diff", "policy explain"]),
  );
});

test.for(commands)("docs/policy.md prints what `$line` prints", async ({ line, printed }) => {
  const args = [...line.matchAll(/'(?<quoted>[^']*)'|(?<word>\S+)/gu)].map(
    ({ groups }) => groups?.["quoted"] ?? groups?.["word"] ?? "",
  );
  const { out, error } = await phylax(...args);
  expect(error).toBe("");
  expect(out).toBe(printed);
});

test("policy check prints every problem of every file with its place, and exits with 2", async () => {
  put("broken.json", {
    ...policy,
    surprise: 1,
    rules: policy.rules.map((rule) => ({ ...rule, interactions: ["read", "fly"], why: "short" })),
  });
  put("wrong.json", {
    ...policy,
    purposes: ["HPAYMT", "NOPE"],
    rules: policy.rules.map((rule) => ({ ...rule, show: ["nme", "birthDate.x"] })),
  });
  put("untrue.json", {
    ...policy,
    rules: policy.rules.map((rule) => Object.assign({}, rule, { show: ["name.family"] })),
  });
  writeFileSync(join(folder, "none.json"), "{");
  const { code, out, error } = await phylax(
    "policy",
    "check",
    "broken.json",
    "wrong.json",
    "untrue.json",
    "none.json",
    "missing.json",
    "member.json",
  );
  expect(code).toBe(2);
  expect(out).toBe("");
  expect(error).toContain("/rules/0/why: Too small: expected string to have >=10 characters");
  const places = error.split("\n").map((line) => line.split(": ").slice(0, 2).join(" "));
  for (const place of [
    "broken.json /rules/0/interactions/1",
    "broken.json /rules/0/why",
    "broken.json Unrecognized key",
    "wrong.json /purposes/1",
    "wrong.json /rules/0/show/0",
    "wrong.json /rules/0/show/1",
    "untrue.json /rules/0/examples/0",
    "none.json is not JSON",
    "missing.json cannot be read",
    "member.json /format",
  ]) {
    expect(places, error).toContain(place);
  }
  const { out: json } = await phylax("policy", "check", "--json", "wrong.json", "member-identity.json");
  expect(JSON.parse(json)).toMatchObject([
    {
      file: "wrong.json",
      problems: [{ pointer: "/purposes/1" }, { pointer: "/rules/0/show/0" }, { pointer: "/rules/0/show/1" }],
    },
    { file: "member-identity.json", problems: [], policy: { name: "member-identity", rules: 1 } },
  ]);
});

test("the starter policies pass the check; each equals itself in a diff, and differs from every further policy", async () => {
  const starters = readdirSync(join(root, "policies")).map((file) => join(root, "policies", file));
  expect((await phylax("policy", "check", ...starters)).code).toBe(0);
  const [first = "", second = ""] = starters;
  expect(await phylax("policy", "diff", first, first)).toEqual({
    code: 0,
    out: "both policies grant the same\n",
    error: "",
  });
  const { code, out } = await phylax("policy", "diff", first, second, "--json");
  expect(code).toBe(1);
  expect(JSON.parse(out)).toContainEqual({
    change: "more",
    interactions: [],
    what: "purpose",
    name: "HPAYMT",
  });
  expect(await phylax("policy", "diff", first, "missing.json")).toMatchObject({
    code: 2,
    error: "missing.json: cannot be read: check its name and permissions\n",
  });
});

const explain = (...args: readonly string[]) =>
  phylax("policy", "explain", "--registry", "registry.json", "--origin", "hospital", ...args);

test.for<[string, readonly string[], number, RegExp]>([
  [
    "an agreement that has lapsed",
    ["--client", "lab", "--at", "2029-01-01", "GET Patient/1"],
    1,
    /^refused: .*agreement_expired/u,
  ],
  [
    "a scope that a grant does not hold",
    ["--client", "billing", "--scope", "system/Observation.rs", "GET Patient/1"],
    1,
    /^refused: scope_insufficient/u,
  ],
  [
    "a token without a patient",
    ["--client", "my-chart", "GET Patient/1"],
    1,
    /^refused: the token is limited to a patient/u,
  ],
  ["a patient of the token's", ["--client", "my-chart", "--patient", "1", "GET Patient/1"], 0, /^permitted/u],
  ["a type without a rule", ["--client", "lab", "GET Observation/1"], 1, /^refused: rule_missing/u],
  ["a write without a rule", ["--client", "lab", "PUT Patient/1"], 1, /^refused: rule_missing/u],
  [
    "a request that is none",
    ["--client", "lab", "GET Patient?nmae=x"],
    1,
    /^refused: parameter_unknown[\s\S]*nmae/u,
  ],
  ["a client that is not there", ["--client", "nobody", "GET Patient/1"], 2, /^$/u],
  ["a purpose that is not granted", ["--client", "lab", "--purpose", "HPAYMT", "GET Patient/1"], 2, /^$/u],
  ["no request", ["--client", "lab"], 2, /^$/u],
])("policy explain gives the verdict on %s", async ([, args, code, says]) => {
  const at = args.includes("--at") ? [] : ["--at", "2026-06-01"];
  const explained = await explain(...at, ...args);
  expect(explained.out).toMatch(says);
  expect(explained.code, explained.error).toBe(code);
});

test("a user's scope is explained by the policy's relations for the signed-in user", async () => {
  const by = (...args: readonly string[]) =>
    phylax(
      "policy",
      "explain",
      "--policy",
      join(root, "policies/treat.json"),
      "--scope",
      "user/*.rs",
      ...args,
      "GET Observation?code=x",
    );
  expect((await by()).out).toMatch(
    /^refused: scope_insufficient[\s\S]*no rows \(no user signed in: --user\)/u,
  );
  const vera = await by("--user", "Practitioner/vera", "--user-patient", "1", "--user-patient", "2");
  expect(vera.out).toContain(
    "user/: the rows of Patient/1, Patient/2 (the patients that the origin's records link to this user as practitioner, organization, panel)",
  );
  expect(vera.out).toContain("  GET Observation?code=x&patient=Patient/1,Patient/2&_count=100\n");
  expect((await by("--user", "Patient/1")).out).toContain(
    "  GET Observation?code=x&patient=Patient/1&_count=100\n",
  );
  expect(await by("--user", "https://elsewhere.example/fhir/Practitioner/1")).toMatchObject({ code: 2 });
});

test("an explanation with Consents names the provision that denies the sample, as the record of the refusal does", async () => {
  const system = "http://terminology.hl7.org/CodeSystem";
  const denying = {
    resourceType: "Consent",
    status: "active",
    scope: { coding: [{ system: `${system}/consentscope`, code: "patient-privacy" }] },
    category: [{ coding: [{ system: `${system}/v3-ActCode`, code: "IDSCL" }] }],
    patient: { reference: "Patient/1" },
    dateTime: "2026-11-01",
    policyRule: { coding: [{ system: `${system}/v3-ActCode`, code: "OPTIN" }] },
    provision: {
      type: "permit",
      provision: [
        { type: "deny", class: [{ system: "http://hl7.org/fhir/resource-types", code: "Patient" }] },
      ],
    },
  };
  put("denying.json", denying);
  put("apart.json", { ...denying, patient: { reference: "Patient/2" } });
  const explained = (...args: readonly string[]) =>
    phylax(
      "policy",
      "explain",
      "--policy",
      "member-identity.json",
      "GET Patient/1",
      "--sample",
      "member.json",
      ...args,
    );
  const rules = readConsent(denying, "https://origin.invalid/fhir");
  const digest = createHash("sha256").update(storedFormOf(rules)).digest("hex");
  const { out } = await explained("--consent", "denying.json");
  expect(out).toContain("the sample is not disclosed");
  expect(out).toContain(`  the Consent ${digest} denies it, by provision.provision[0]`);
  expect((await explained("--consent", "apart.json")).out).toContain("the sample is disclosed, by /rules/0");
  expect(await explained("--consent", "member.json")).toMatchObject({ code: 2 });

  const recipient = { coding: [{ system: `${system}/v3-ParticipationType`, code: "IRCP" }] };
  const permitting = {
    type: "permit",
    dataPeriod: { start: "2022", end: "2022" },
    actor: [{ role: recipient, reference: { reference: "Group/team" } }],
    provision: [{ type: "permit", securityLabel: [{ system: `${system}/v3-ActCode`, code: "PSY" }] }],
  };
  put("permitting.json", { ...denying, provision: permitting });
  const member = [{ entity: { reference: "Practitioner/doc" } }, { entity: { display: "somebody" } }];
  put("team.json", { resourceType: "Group", id: "team", type: "practitioner", actual: true, member });
  const told = await explained("--consent", "permitting.json");
  for (const words of [
    "Group/team: the gateway reads who is meant at filing",
    "BodyStructure, MolecularSequence, Patient, Person have no time",
    "further data is denied; a read of the Patient by id gives the id alone",
    "PSY, BH, MH are one kind",
    "opens no labelled row: the policy has no generalConsentOpens",
    "to a client of the kind not known here, the rule withholds it",
  ])
    expect(told.out).toContain(words);
  expect((await explained("--consent", "permitting.json", "--actor", "team.json")).out).toContain(
    "Group/team means Practitioner/doc, somebody unknown",
  );
});

test("as JSON an explanation has the verdict, the steps, the queries and the sample before and after", async () => {
  const { out } = await phylax(
    "policy",
    "explain",
    "--policy",
    "member-identity.json",
    "--json",
    "GET Patient/1",
    "--sample",
    "member.json",
  );
  expect(JSON.parse(out)).toMatchObject({
    asks: ["GET Patient/1"],
    sample: {
      kept: [],
      rules: ["/rules/0"],
      before: { telecom: [{}] },
      after: { birthDate: "1984-03-02" },
      changes: expect.arrayContaining([
        { kind: "removed", path: "telecom", why: "no rule that covers this row shows it" },
      ]),
    },
  });
});
