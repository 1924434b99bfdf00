import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, test } from "vitest";
import { startTestStack, type TestStack } from "../support/stack.ts";

const folder = join(import.meta.dirname, "../../../shared/data/fhir/synthea-2019");
const absent = !existsSync(folder);

interface Entry {
  readonly fullUrl: string;
  readonly resource: {
    readonly resourceType: string;
    readonly id: string;
    readonly [element: string]: unknown;
  };
}

interface Page {
  readonly entry?: readonly Entry[];
  readonly link: readonly { readonly relation: string; readonly url: string }[];
}

/** Every entry of a search, page after page. */
async function everyPage(phylax: TestStack, client: string, search: string): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for (let url: string | undefined = search; url !== undefined;) {
    const reply = await phylax.ask(client, url);
    if (reply.status !== 200) throw new Error(`${reply.status} ${reply.text.slice(0, 300)}`);
    const page: Page = JSON.parse(reply.text);
    entries.push(...(page.entry ?? []));
    url = page.link.find(({ relation }) => relation === "next")?.url;
  }
  return entries;
}

/** Every string and number below a value, for a comparison that does not use views. */
function leaves(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap(leaves);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leaves) : [value];
}

describe.skipIf(absent)("with real Synthea patients (skipped when ../shared/data is absent)", () => {
  let phylax: TestStack;
  const bundles = absent
    ? []
    : readdirSync(folder).map((file): { entry: Entry[] } =>
        JSON.parse(gunzipSync(readFileSync(join(folder, file))).toString("utf8")),
      );

  beforeAll(async () => {
    phylax = await startTestStack({ bundles: folder });
  }, 120_000);
  afterAll(() => phylax.close());

  test("each patient is read and is cut for the payer", async ({ expect }) => {
    for (const { entry } of bundles) {
      const whole = entry.find(({ resource }) => resource.resourceType === "Patient");
      const reply = await phylax.ask("payer", `Patient/${whole?.resource.id}`);
      expect(reply.status, reply.text).toBe(200);
      const cut = JSON.parse(reply.text);
      expect(cut).toMatchObject({ resourceType: "Patient", id: whole?.resource.id });
      for (const hidden of ["text", "extension", "maritalStatus", "multipleBirthBoolean", "communication"])
        expect(cut).not.toHaveProperty(hidden);
    }
  });

  test.for(["Observation", "Condition"])(
    "%s?patient=… gives every one of the patient's, and no value that is not the origin's",
    async (type, { expect }) => {
      for (const { entry } of bundles) {
        const patient = entry.find(({ resource }) => resource.resourceType === "Patient");
        const whole = new Map(
          entry
            .filter(({ resource }) => resource.resourceType === type)
            .map(({ resource }) => [resource.id, resource]),
        );
        const shown = await everyPage(phylax, "telehealth", `${type}?patient=${patient?.resource.id}`);
        expect(new Set(shown.map(({ resource }) => resource.id)).size).toBe(shown.length);
        expect(shown.length).toBe(whole.size);
        for (const { resource } of shown) {
          const original = new Set(leaves(whole.get(resource.id)));
          // the origin's version and time, and the gateway's tag
          const { meta: _meta, ...shownOf } = resource;
          for (const leaf of leaves(shownOf)) {
            // The loader changed `urn:uuid:x` to `Patient/x`.
            const loaded = typeof leaf === "string" ? leaf.replace(/^[A-Z][A-Za-z]+\//u, "urn:uuid:") : leaf;
            expect(
              original.has(leaf) || original.has(loaded),
              `${type}/${resource.id} shows a value the origin does not have`,
            ).toBe(true);
          }
        }
      }
    },
  );

  test("no observation that a payer gets has an element that its view hides", async ({ expect }) => {
    const patient = bundles[0]?.entry.find(({ resource }) => resource.resourceType === "Patient");
    for (const { resource } of await everyPage(
      phylax,
      "payer",
      `Observation?patient=${patient?.resource.id}`,
    ))
      for (const hidden of ["note", "text", "performer", "component"])
        expect(resource).not.toHaveProperty(hidden);
  });
});
