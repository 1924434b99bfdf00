import { test } from "vitest";
import { categories, choicesIn, consentOf } from "../../../sandbox/identity-provider/consent/choices.ts";
import { scopesInWords } from "../../../sandbox/identity-provider/consent/scope-words.ts";
import { consentPage, messagePage, signInPage } from "../../../sandbox/identity-provider/pages.ts";
import { level, observation, resource, sensitivity, verdict } from "../../policy/consent/scene.ts";

test("no text on a page can become markup", ({ expect }) => {
  const mark = `<img src=x onerror="a('b')">&`;
  for (const page of [
    consentPage({ client: mark, login: mark, scopes: [mark], choices: undefined, problem: mark }),
    messagePage(mark, mark),
    signInPage({ withCode: true, problem: mark }),
  ]) {
    expect(page).not.toContain("<img");
    expect(page).toContain("&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;");
  }
});

test("a page requests the second factor only if it is needed", ({ expect }) => {
  expect(signInPage({ withCode: false })).not.toContain('name="code"');
  expect(signInPage({ withCode: true })).toContain('name="code"');
});

test("the consent page says in words what an app gets, and an unknown scope shows its own text", ({
  expect,
}) => {
  const scopes = [
    "openid",
    "fhirUser",
    "offline_access",
    "patient/*.rs",
    "patient/Observation.r",
    "patient/Observation.s?category=laboratory",
    "patient/Communication.c",
    "patient/X.y",
  ];
  expect(scopesInWords(scopes)).toEqual([
    "Know who you are and which record is yours",
    "Stay connected for a day without asking you again",
    "Read and search all kinds of your records",
    "Read your test results and measurements",
    "Search your test results and measurements, only with category=laboratory",
    "Add to your messages",
    "patient/X.y",
  ]);
  const page = consentPage({ client: "app", login: "p", scopes, choices: new Set(["hiv"]) });
  for (const sentence of scopesInWords(scopes)) expect(page).toContain(`<li>${sentence}</li>`);
  expect(page.match(/ checked>/gu)).toHaveLength(1);
  expect(page).toContain('name="share-hiv" value="yes" checked>');
});

test("a choice is a Consent that denies restricted records for treatment, except for the shared categories", ({
  expect,
}) => {
  const form = new URLSearchParams({
    "share-hiv": "yes",
    "share-mental-health": "no",
    "share-everything": "yes",
  });
  expect([...choicesIn(form)]).toEqual(["hiv"]);
  const shared = (...ids: readonly string[]) => resource(consentOf("1", new Set(ids), new Date(0)));
  const labelled = (...codes: readonly string[]) =>
    observation({ meta: { security: [level("R"), ...codes.map(sensitivity)] } });
  const verdicts = (...ids: readonly string[]) =>
    [observation(), labelled("HIV"), labelled("PSY"), labelled("HIV", "PSY"), labelled()].map((row) =>
      verdict(shared(...ids), {}, row),
    );
  expect(verdicts()).toEqual(["silent", "deny", "deny", "deny", "deny"]);
  expect(verdicts("hiv")).toEqual(["silent", "permit", "deny", "deny", "deny"]);
  expect(verdicts("hiv", "mental-health")).toEqual(["silent", "permit", "permit", "permit", "deny"]);
  expect(verdict(shared("hiv"), { purpose: "HPAYMT" }, labelled("HIV"))).toBe("silent");
  for (const { id, codes } of categories)
    for (const code of codes) expect(verdict(shared(id), {}, labelled(code)), code).toBe("permit");
});

test("the page of consent says what each button does, and of choices only where there are some", ({
  expect,
}) => {
  const page = (choices: ReadonlySet<string> | undefined) =>
    consentPage({ client: "app", login: "p", scopes: [], choices });
  expect(page(new Set())).toContain("Deny gives it nothing and files no choice.");
  expect(page(undefined)).toContain("Deny gives it nothing.");
});
