import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import type { ExportList, ListedExport } from "#limits/listed-export";
import { send } from "../../cli/connection/mutual-tls.ts";
import { phylaxIn } from "../cli/phylax.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// The command over TLS, the gateway and jobs as workerd runs them. test/door/exports.test.ts has what an export does.

let phylax: TestStack;
const folder = mkdtempSync(join(tmpdir(), "phylax-export-"));
beforeAll(async () => {
  phylax = await sharedTestStack();
}, 60_000);
afterAll(async () => {
  await phylax.close();
  rmSync(folder, { recursive: true, force: true });
});

test("phylax export takes what its client may see, and the file is gone once the export is cancelled", async ({
  expect,
}) => {
  const to = join(folder, "one");
  const command = (...args: string[]) => phylaxIn(folder, "export", ...args);
  const started = await command(
    "start",
    "payer",
    to,
    "--type",
    "Patient,Observation",
    "--state",
    phylax.state,
  );
  expect(started.code, started.out + started.error).toBe(0);
  const downloaded = await command("download", to, "--state", phylax.state);
  expect(downloaded.code, downloaded.out + downloaded.error).toBe(0);
  expect(readdirSync(to)).toEqual(expect.arrayContaining(["Patient.1.ndjson", "Observation.1.ndjson"]));
  const lines = readFileSync(join(to, "Patient.1.ndjson"), "utf8").trim().split("\n");
  const search = await phylax.ask("payer", "Patient?_count=1000");
  const { entry } = JSON.parse(search.text) as { entry: unknown[] };
  expect(lines).toHaveLength(entry.length);
  const listed = await send(phylax.dev, phylax.dev.operators[0], `${phylax.dev.ops}/api/exports`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: "{}",
  });
  const [{ facts }] = (JSON.parse(listed.text) as ExportList).exports as [ListedExport];
  expect(facts?.read).toMatchObject([
    { state: "sent", rows: lines.length },
    { state: "sent", reason: null },
  ]);
  expect((await command("cancel", to, "--state", phylax.state)).code).toBe(0);
});
