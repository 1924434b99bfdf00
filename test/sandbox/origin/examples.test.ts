import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { isExactObject, parseExact } from "../../../sandbox/origin/exact-json.ts";
import { startOrigin } from "../../../sandbox/origin/server.ts";

const data = join(import.meta.dirname, "../../../../shared/data/fhir");
const files = ["examples-r4", "us-core"].flatMap((dir) => {
  const folder = join(data, dir);
  return existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
});

/**
 * The text without the members that a server sets: `meta.versionId`, `meta.lastUpdated`; numbers in their
 * written form.
 */
function ownOf(text: string): string {
  const { meta, ...rest } = Object(parseExact(text)) as Record<string, unknown>; // of a resource
  const { versionId: _version, lastUpdated: _time, ...own } = isExactObject(meta) ? meta : {};
  return JSON.stringify([rest, own]);
}

test.skipIf(files.length === 0)(
  "each example of R4 and of US Core is taken, and comes back as it was, digits included (skipped without ../shared/data)",
  async ({ expect }) => {
    const origin = await startOrigin();
    let taken = 0;
    for (const file of files) {
      const sent = readFileSync(file, "utf8");
      const { resourceType, id } = JSON.parse(sent) as {
        readonly resourceType: string;
        readonly id?: string;
      }; // a resource
      if (id === undefined) continue;
      const url = `${origin.url}/${resourceType}/${id}`;
      const put = await fetch(url, {
        method: "PUT",
        headers: { "content-type": "application/fhir+json", prefer: "return=minimal" },
        body: sent,
      });
      expect([put.status, await put.text()], file).toEqual([201, ""]);
      const read = await fetch(url, { headers: { accept: "application/fhir+json" } });
      expect(ownOf(await read.text()), file).toBe(ownOf(sent));
      taken += 1;
    }
    expect(taken).toBeGreaterThan(100);
    await origin.close();
  },
);
