import { test } from "vitest";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { planWrite } from "#gateway/change/plan/write-plan";
import { parseScopes } from "#identity/scopes";
import { ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { policy, rule } from "../../../policy/granting.ts";
import { sessionOf } from "../../../support/origin-session.ts";

const base = "https://api.example/v1/fhir/main";

async function* bytesOf(resource: JsonObject) {
  yield ok(new TextEncoder().encode(JSON.stringify(resource)));
}

/**
 * The body for the origin of an update of amara's own Patient under a patient's scope, or the reason of the
 * refusal.
 */
async function updated(stored: JsonObject, submitted: JsonObject): Promise<unknown> {
  const scopes = parseScopes("patient/*.crus");
  const rules = policy(rule(["Patient"], "everything", { interactions: ["read", "update"] }));
  if (!scopes.ok) throw new Error("a test's own mistake");
  const planned = await planWrite(
    {
      interaction: { kind: "update", type: "Patient", id: "amara" },
      body: { kind: "resource", resource: { resourceType: "Patient", id: "amara", ...submitted } },
      conditions: { ifMatch: undefined, ifNoneExist: undefined, returns: undefined },
    },
    {
      policy: compilePolicy(rules, "sha256:test"),
      access: { scopes: scopes.value, patient: "amara" },
    },
    sessionOf(
      async () =>
        ok({
          kind: "answered",
          base: "https://origin.internal/fhir",
          body: bytesOf({ resourceType: "Patient", id: "amara", meta: { versionId: "1" }, ...stored }),
        }),
      { base },
    ),
  );
  if (!planned.ok) return planned.error.reason;
  if (planned.value.kind !== "send") return planned.value.kind;
  const sent = readJson(new TextEncoder().encode(planned.value.write.body));
  return sent.ok && isObject(sent.value) ? sent.value : "no body";
}

test("under a patient's scope a link names that patient alone: a hidden link is neither overwritten, named nor deleted", async ({
  expect,
}) => {
  const link = (other: JsonObject) => ({ link: [{ type: "seealso", other }] });
  const bob = link({ reference: "Patient/bob" });
  const masked = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
  };
  expect(await updated(bob, { ...link(masked), active: true })).toMatchObject({ ...bob, active: true });
  for (const hidden of [bob, link({ identifier: { value: "bob" } }), link({ display: "Bob" })]) {
    for (const other of [{ reference: "Patient/amara" }, { display: "Amara" }])
      expect(await updated(hidden, link(other)), JSON.stringify([hidden, other])).toBe("body_invalid");
    expect(await updated(hidden, {}), JSON.stringify(hidden)).toBe("body_invalid");
  }
  expect(await updated({}, bob)).toBe("body_invalid");
  expect(await updated({}, link({ reference: `${base}/Patient/bob` }))).toBe("body_invalid");
  expect(await updated({}, link({ reference: `${base}/Patient/amara` }))).toMatchObject(
    link({ reference: "Patient/amara" }),
  );
});
