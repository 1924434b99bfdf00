import { afterAll, beforeAll, expect, test } from "vitest";
import { openRequest, send } from "../../cli/connection/mutual-tls.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

/** The lines of a watch until one has a text; the first line says where it begins. */
async function watch(until: string, begun: () => Promise<unknown>): Promise<string> {
  const { dev } = phylax;
  return phylax.within(async () => {
    const { status, body } = await openRequest(dev, dev.operators[0], `${dev.ops}/tail`);
    expect(status).toBe(200);
    let text = "";
    let hasBegun = false;
    for await (const chunk of body.setEncoding("utf8")) {
      text += String(chunk);
      if (!hasBegun) await begun();
      hasBegun = true;
      if (text.includes(until)) break;
    }
    return text;
  });
}

test("requests show in the tail as they are recorded, permitted and refused, and nothing of a patient does", async () => {
  const canary = "Canaryfamily";
  const { dev } = phylax;
  const text = await watch("jws_malformed", async () => {
    await phylax.ask("payer", "Patient/amara-okafor");
    await phylax.ask("payer", `Patient?family=${canary}`);
    await phylax.ask("payer", `Patient/${canary}`);
    await phylax.ask("payer", `${canary}/1?${canary}=1`, { headers: { "phylax-purpose": canary } });
    await send(dev, phylax.client("telehealth"), `${dev.fhir}/Patient/${canary}`, {
      headers: { authorization: `Bearer ${canary}` },
    });
  });
  const lines = text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  const read = { client: "payer", purpose: "HPAYMT", interaction: "read" };
  expect(lines).toContainEqual(expect.objectContaining({ ...read, outcome: "disclosed" }));
  expect(lines).toContainEqual(
    expect.objectContaining({ ...read, outcome: "refused", reason: expect.any(String) }),
  );
  expect(lines.filter(({ outcome }) => outcome === "refused").length).toBeGreaterThanOrEqual(3);
  for (const secret of [canary, "amara", "okafor", "Patient", "Bearer"]) expect(text).not.toContain(secret);
});
