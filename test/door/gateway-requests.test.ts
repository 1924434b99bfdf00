import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test, type ExpectStatic } from "vitest";
import { r4ResourceTypes } from "#fhir/r4/elements";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { noSharedData } from "../phi/shared-data.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { policyEntry, rule } from "../policy/granting.ts";
import type { PolicyRule } from "#policy/schema";

// The request bodies of another gateway's own tests (google/fhir-gateway, Apache-2.0), sent as a patient's
// app and as staff of the clinic. The file names say which requests must be refused.
const folder = join(import.meta.dirname, "../../../shared/data/fhir/gateway-requests");
const body = (name: string): string => readFileSync(join(folder, `${name}.json`), "utf8");

const own = "be92a43f-de46-affa-b131-bbf9eea51140"; // the patient of the token
const other = "420e791b-e419-c19b-3144-29e101c2c12f";
const to = (id: string) => ({ reference: `Patient/${id}`, display: "Name" });
const observation = (id: string, patient: string) => ({
  resourceType: "Observation",
  id,
  status: "preliminary",
  code: { text: "x" },
  subject: to(patient),
  valueQuantity: { value: 20 },
});
const world = [
  { resourceType: "Patient", id: own, active: false },
  ...[other, "patient-non-authorized", "bob", "michael"].map((id) => ({
    resourceType: "Patient",
    id,
    active: false,
  })),
  observation("observation-jamess-bond-id-1", own),
  observation("patched", own),
  observation("others", other),
];

const policyOf = (name: string, types: PolicyRule["types"]) =>
  policyEntry(
    name,
    [rule(types, "everything", { interactions: ["read", "search", "create", "update", "delete"] })],
    { purposes: ["PATRQT"] },
  );
const policies = [
  policyOf("writers", ["Patient", "Observation", "Encounter"]),
  policyOf("loading", [...r4ResourceTypes]),
];

describe.skipIf(noSharedData)(
  "requests of another gateway's tests (skipped when ../shared/data is absent)",
  () => {
    const apps = {
      app: { policy: "writers", scopes: "patient/*.cruds", claims: { patient: own } },
      staff: { policy: "writers", scopes: "system/*.cruds" },
      loader: { policy: "loading", scopes: "system/*.cruds" },
    } as const;
    type Who = keyof typeof apps;
    let phylax: Door;
    let ask: AskAs<Who>;
    beforeAll(async () => {
      phylax = await startDoor({ resources: world });
      ask = await outsideApps(phylax, apps, policies);
    }, 120_000);
    afterAll(() => phylax.close());

    function send(who: Who, method: string, path: string, text: string): Promise<Reply> {
      const type = method === "PATCH" ? "application/json-patch+json" : "application/fhir+json";
      return ask(who, path, { method, headers: { "content-type": type }, body: text });
    }
    const post = (who: Who, name: string) => send(who, "POST", "", body(name));
    const stored = async (path: string): Promise<Record<string, unknown>> =>
      (await fetch(`${phylax.dev.origin}/${path}`)).json();
    /** Fails unless the request is refused and nothing was written. */
    async function refused(
      expect: ExpectStatic,
      statuses: readonly number[],
      act: Promise<Reply>,
    ): Promise<void> {
      const before = JSON.stringify(await everything());
      const reply = await act;
      expect(statuses, `${reply.status} ${reply.text}`).toContain(reply.status);
      expect(JSON.stringify(await everything())).toBe(before);
    }
    const everything = async () =>
      Promise.all(
        ["Patient", "Observation", "Encounter"].map(
          async (type) => (await stored(`${type}?_count=100`))["entry"],
        ),
      );

    test.for([
      ["bundle_transaction_delete_patient_unauthorized", "it deletes another patient"],
      ["bundle_transaction_put_unauthorized", "it replaces another patient"],
      ["bundle_transaction_no_patient_in_url", "it would write what is another patient's, by conditions"],
      ["bundle_transaction_no_patient_ref", "what it writes is another's, or nobody's"],
      ["bundle_transaction_patch_not_binary", "a patch is a Binary of JSON Patch"],
      ["transaction_bundle", "an app creates no patients"],
    ] as const)("%s is refused to a patient's app: %s", async ([name], { expect }) => {
      await refused(expect, [400, 403, 404, 415, 422], post("app", name));
    });

    test("bundle_transaction_patch_authorized is done: the patient's own record and observation are patched", async ({
      expect,
    }) => {
      const reply = await post("app", "bundle_transaction_patch_authorized");
      expect(reply.status, reply.text).toBe(200);
      expect(await stored(`Patient/${own}`)).toMatchObject({ active: true });
      expect(await stored("Observation/observation-jamess-bond-id-1")).toMatchObject({
        subject: { reference: `Patient/${own}` },
        performer: [{ reference: "Patient/michael" }],
      });
    });

    test("transaction_bundle is done for staff, who may create patients and search the observations of all patients", async ({
      expect,
    }) => {
      const reply = await post("staff", "transaction_bundle");
      expect(reply.status, reply.text).toBe(200);
      const { entry }: { entry: readonly { readonly response: { readonly status: string } }[] } = JSON.parse(
        reply.text,
      );
      expect(entry.map(({ response }) => response.status.slice(0, 3))).toEqual(["200", "201"]);
    });

    test("patches of an observation: a patch of the patient's own row is done; a patch that moves the row or removes its patient is refused", async ({
      expect,
    }) => {
      const patch = (id: string, name: string) => send("app", "PATCH", `Observation/${id}`, body(name));
      await refused(expect, [403, 404, 422], patch("patched", "test_obs_patch_no_reference"));
      await refused(expect, [403, 404, 422], patch("patched", "test_obs_patch_unauthorized_no_patient_id"));
      await refused(expect, [403, 404, 422], patch("patched", "test_obs_patch_unauthorized_patient"));
      await refused(expect, [404], patch("others", "test_obs_patch"));
      expect((await patch("patched", "test_obs_patch")).status).toBe(200);
      expect(await stored("Observation/patched")).toMatchObject({
        subject: { display: "MyName" },
        valueQuantity: { value: 30 },
      });
    });

    test("test_obs_no_subject has no patient, and a patient's app cannot write it", async ({ expect }) => {
      await refused(expect, [403, 404], send("app", "POST", "Observation", body("test_obs_no_subject")));
      const { id } = JSON.parse(body("test_obs_no_subject"));
      await refused(expect, [403, 404], send("app", "PUT", `Observation/${id}`, body("test_obs_no_subject")));
    });

    test("the remaining files of the folder are no requests: answers, and lists from which the tested gateway reads its access rules", ({
      expect,
    }) => {
      const tried = new Set(
        [
          ...readFileSync(import.meta.filename, "utf8").matchAll(
            /"(?<name>(?:bundle|test|transaction)_\w+)"/gu,
          ),
        ].map(({ groups }) => groups?.["name"]),
      );
      const others = readdirSync(folder)
        .map((file) => file.replace(".json", ""))
        .filter((name) => !tried.has(name));
      expect(others.toSorted()).toEqual([
        "capability",
        "observation_audit_events",
        "patient-list-example",
        "patient_id_search",
      ]);
    });
  },
);
