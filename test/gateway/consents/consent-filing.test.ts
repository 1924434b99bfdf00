import { expect, test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { ConsentFiling, type FilingDesk, type WrittenConsent } from "#gateway/consents/consent-filing";
import { parseScopes } from "#identity/scopes";
import type { Consents } from "#policy/consent/consents";
import { readStoredForm, storedFormOf } from "#policy/consent/stored-form";
import { consent } from "../../policy/consent/scene.ts";

const base = "https://gateway.example/v1/fhir/main";
const origin = "https://origin.example/fhir";
const permit = (more: object = {}) => ({ id: "c", ...consent({ type: "permit" }), ...more });
const deny = (more: object = {}) => ({ id: "c", ...consent({ type: "deny" }), ...more });
const at = (version: string) => ({ meta: { versionId: version } });

/** The patient files a Consent, and the origin then has this one, or cannot be read. */
async function filed(
  written: WrittenConsent,
  stored: object | "unreadable" | undefined,
  isAgain = false,
  signedIn: { readonly user?: string; readonly patientIsUser?: boolean } = { user: "Patient/1" },
) {
  const files: string[] = [];
  const filings: Parameters<FilingDesk["file"]>[2][] = [];
  const desk: FilingDesk = {
    announce: async () => 7,
    file: async (_change, _origin, consents) => {
      filings.push(consents);
      for (const { content, mayPermit, isUnread } of consents) {
        const root = content && readStoredForm(storedFormOf(content.rules)).readings[0]?.root;
        if (isUnread === true) files.push("unread");
        files.push(`${root?.effect ?? "absent"} of ${content?.patient ?? "none"}, may permit: ${mayPermit}`);
      }
      return {};
    },
    isOnFile: async () => false,
  };
  const consents: Consents = {
    mayHave: () => true,
    consentsOf: async () => "unavailable",
    applyFiled: () => {},
    reread: () => {},
  };
  const scopes = parseScopes("patient/*.cruds");
  if (!scopes.ok) throw new Error("a test's own mistake");
  const who = {
    client: { id: "app" },
    grant: { policyDigest: "sha256:test" },
    purpose: "PATRQT",
    scopes: scopes.value,
    patient: "1",
    user: undefined,
    ...signedIn,
  } as const;
  const filing = new ConsentFiling(
    { consentDesk: desk, consents, policies: { byDigest: async () => ({ isConsentRegistrar: false }) } },
    who,
    "main",
  );
  const read = async () => {
    if (stored === "unreadable") throw new Error("the origin does not answer");
    return stored === undefined ? undefined : { body: utf8(JSON.stringify(stored)), base: origin };
  };
  const result = isAgain
    ? await filing.fileAgain(written, base, read)
    : await filing.file([written], base, read);
  return [result.ok, files];
}
const written = (content: object, version?: string): WrittenConsent => ({
  id: "c",
  content: { sent: JSON.stringify(content), version },
});
const own = "permit of 1, may permit: true";

test("a Consent is filed with the authority of its writer only if the origin still has what the writer wrote", async () => {
  expect(await filed(written(permit(), "2"), permit(at("2")))).toEqual([true, [own]]);
  expect(await filed(written(permit()), permit(at("2"))), "no version confirmed").toEqual([true, [own]]);
  expect(await filed(written(permit()), permit()), "an origin without versions").toEqual([true, [own]]);
  // a further client wrote between the write and the reading
  expect(await filed(written(deny(), "2"), permit(at("3")))).toEqual([false, []]);
  expect(await filed(written(deny()), permit())).toEqual([false, []]);
  const ofAnother = permit({ patient: { reference: "Patient/2" }, ...at("3") });
  expect(await filed(written(permit(), "2"), ofAnother)).toEqual([false, []]);
  // the rules are the same: the writer stands for them
  expect(await filed(written(permit(), "2"), permit(at("3")))).toEqual([true, [own]]);
});

test("a Consent of a token without the patient's own sign-in permits nothing", async () => {
  const by = async (signedIn: { readonly user?: string; readonly patientIsUser?: boolean }) =>
    (await filed(written(permit()), permit(), false, signedIn))[1];
  for (const user of ["Patient/1", `${base}/Patient/1`, `${origin}/Patient/1`])
    expect(await by({ user }), user).toEqual([own]);
  expect(await by({ patientIsUser: true })).toEqual([own]);
  for (const user of ["https://other.example/fhir/Patient/1", "RelatedPerson/1", "Patient/2"])
    expect(await by({ user, patientIsUser: true }), user).toEqual(["permit of 1, may permit: false"]);
  expect(await by({}), "no user").toEqual(["permit of 1, may permit: false"]);
});

test("a deletion is filed if the Consent is absent, and a Consent that is gone meanwhile is in force no longer", async () => {
  const absent = "absent of none, may permit: false";
  expect(await filed({ id: "c", content: undefined }, undefined)).toEqual([true, [absent]]);
  expect(await filed({ id: "c", content: undefined }, permit(at("9")))).toEqual([false, []]);
  expect(await filed(written(permit(), "2"), undefined)).toEqual([false, [absent]]);
});

test("a Consent that names its patient by an identifier is filed for the patient who was found", async () => {
  const named = { patient: { identifier: { system: "urn:mrn", value: "1" } } };
  const body = { id: "c", ...consent({ type: "permit" }), ...named };
  const found: WrittenConsent = {
    id: "c",
    content: { sent: JSON.stringify(body), version: undefined, patient: "1" },
  };
  expect(await filed(found, body)).toEqual([true, [own]]);
  const another = { ...body, patient: { identifier: { system: "urn:mrn", value: "2" } } };
  expect(await filed(found, another)).toEqual([false, []]);
  expect(await filed(written(body), body), "not found").toEqual([false, []]);
  expect(await filed(written(body, "1"), { ...body, ...at("1"), status: "inactive" })).toEqual([
    true,
    ["absent of none, may permit: false"],
  ]);
});

test("a repeat files the content of its own request, and nothing of a further client", async () => {
  expect(await filed(written(permit()), permit(), true)).toEqual([true, [own]]);
  expect(await filed(written(deny()), permit(), true)).toEqual([false, []]);
});

test("a Consent that cannot be read after its write is filed as a denial of what was written, and is answered as not filed", async () => {
  const denial = "deny of 1, may permit: false";
  expect(await filed(written(deny(), "2"), "unreadable")).toEqual([false, ["unread", denial]]);
  const absent = ["unread", "absent of none, may permit: false"];
  expect(await filed({ id: "c", content: undefined }, "unreadable"), "a deletion").toEqual([false, absent]);
});
