import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

interface Row {
  readonly resourceType: string;
  readonly id: string;
}
interface Manifest {
  readonly transactionTime: string;
  readonly request: string;
  readonly output: readonly { readonly type: string; readonly url: string }[];
  readonly error: readonly { readonly url: string }[];
}

const start = (client: string, path: string) =>
  phylax.ask(client, path, { headers: { prefer: "respond-async" } });
const text = (reply: Reply) => reply.text;
const rows = (reply: Reply): readonly Row[] =>
  text(reply)
    .split("\n")
    .filter((line) => line !== "")
    .map((line): Row => JSON.parse(line));
const named = (list: readonly Row[]) =>
  list.map(({ resourceType, id }) => `${resourceType}/${id}`).toSorted();

async function manifestOf(client: string, path: string): Promise<Manifest> {
  const kickOff = await start(client, path);
  if (kickOff.status !== 202) throw new Error(`${kickOff.status} ${kickOff.text}`);
  const status = await phylax.ask(client, String(kickOff.headers["content-location"]));
  if (status.status !== 200) throw new Error(`${status.status} ${status.text}`);
  return JSON.parse(status.text);
}

test("an export has the rows that the client's own searches show, each once, type by type", async ({
  expect,
}) => {
  const manifest = await manifestOf("payer", "$export?_type=Observation,Condition,Patient");
  expect(manifest.output.map(({ type }) => type)).toEqual(["Observation", "Condition", "Patient"]);
  for (const { type, url } of manifest.output) {
    const file = await phylax.ask("payer", url);
    expect(file.status, file.text).toBe(200);
    expect(file.headers["content-type"]).toBe("application/fhir+ndjson");
    const search = await phylax.ask("payer", `${type}?_count=1000`);
    const { entry = [] } = JSON.parse(search.text) as { entry?: { resource: Row }[] };
    expect(named(rows(file))).toEqual(named(entry.map(({ resource }) => resource)));
    expect(rows(file).length).toBeGreaterThan(0);
  }
});
