import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { startOrigin, type Origin } from "../../sandbox/origin/server.ts";
import { startTestStack } from "../support/stack.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-origin-"));
const bundles = mkdtempSync(join(tmpdir(), "phylax-bundles-"));
const servers: Origin[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
  for (const folder of [state, bundles]) rmSync(folder, { recursive: true, force: true });
});

/** A FHIR server that existed before Phylax, and the requests that reach it. */
async function serverWith(
  ...resources: Resource[]
): Promise<{ readonly url: string; readonly asked: string[] }> {
  const asked: string[] = [];
  const server = await startOrigin({ onRequest: ({ method, path }) => asked.push(`${method} ${path}`) });
  servers.push(server);
  await server.load(resources);
  return { url: server.url, asked };
}

test("an operator's own FHIR server stands behind the gateway instead of the sandbox's, and a different server at the next start", async ({
  expect,
}) => {
  const first = await serverWith({ resourceType: "Patient", id: "of-the-first", birthDate: "1970-01-01" });
  const stack = await startTestStack({ state, origin: first.url });
  expect(stack.dev.origin).toBe(first.url);
  expect(stack.client("patient-app").patient, "one that is there").toBe("of-the-first");
  expect((await stack.ask("patient-app", "Patient/of-the-first")).status).toBe(200);
  const read = await stack.ask("telehealth", "Patient/of-the-first");
  expect(read.status, read.text).toBe(200);
  expect(first.asked).toContain("GET /fhir/Patient/of-the-first");
  expect(stack.forwarded, "the sandbox's own server was not started").toEqual([]);
  expect((await stack.ask("telehealth", "Patient/amara-okafor")).status).toBe(404);
  await stack.close();

  const second = await serverWith({ resourceType: "Patient", id: "of-the-second", birthDate: "1980-01-01" });
  const again = await startTestStack({ state, origin: second.url });
  expect(again.dev.origin).toBe(second.url);
  expect(again.client("patient-app").patient).toBe("of-the-second");
  expect((await again.ask("telehealth", "Patient/of-the-second")).status).toBe(200);
  expect((await again.ask("telehealth", "Patient/of-the-first")).status).toBe(404);
  await again.close();
});

test("a server that asks for a token gets the token of the named variable, is probed with it, and its entry says what it can do", async ({
  expect,
}) => {
  const behind = await serverWith({ resourceType: "Patient", id: "kept", birthDate: "1970-01-01" });
  const asked: string[] = [];
  const guard = createServer((request, reply) => {
    const isProven = request.headers.authorization === "Bearer own-server-token";
    asked.push(`${isProven} ${request.url}`);
    if (!isProven) return reply.writeHead(401).end();
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      void fetch(behind.url.replace("/fhir", request.url ?? ""), {
        method: request.method ?? "GET",
        headers: { "content-type": request.headers["content-type"] ?? "application/fhir+json" },
        ...(pieces.length > 0 && { body: Buffer.concat(pieces) }),
      }).then(async (answer) =>
        reply.writeHead(answer.status, { "content-type": "application/fhir+json" }).end(await answer.text()),
      );
    });
    return reply;
  });
  await new Promise<void>((done) => guard.listen(0, "127.0.0.1", done));
  const origin = `http://127.0.0.1:${(guard.address() as AddressInfo).port}/fhir`;
  process.env["OWN_SERVER_TOKEN"] = "own-server-token";
  const stack = await startTestStack({ origin, bearerFrom: "OWN_SERVER_TOKEN" });
  expect(stack.client("patient-app").patient).toBe("kept");
  expect((await stack.ask("telehealth", "Patient/kept")).status).toBe(200);
  expect(asked.filter((each) => each.startsWith("false"))).toEqual([]);
  const statement = (await stack.ask("telehealth", "metadata")).text;
  expect(asked.some((each) => each.includes("phylax-probe"))).toBe(true);
  expect(statement).toContain('"searchParam"');
  await stack.close();
  guard.close();
});

test("with an operator's own bundles the patient's app is bound to the first patient in them", async ({
  expect,
}) => {
  writeFileSync(
    join(bundles, "b.json"),
    JSON.stringify({ resourceType: "Patient", id: "second-in-the-folder" }),
  );
  writeFileSync(
    join(bundles, "a.json"),
    JSON.stringify({ resourceType: "Patient", id: "first-in-the-folder" }),
  );
  const stack = await startTestStack({ bundles });
  expect(stack.client("patient-app").patient).toBe("first-in-the-folder");
  expect((await stack.ask("patient-app", "Patient/first-in-the-folder")).status).toBe(200);
  expect((await stack.ask("patient-app", "Patient/second-in-the-folder")).status).toBe(404);
  await stack.close();
});

test("the stack starts without an answer of the server, and reads are refused until it answers", async ({
  expect,
}) => {
  const gone = await startOrigin();
  await gone.close();
  const stack = await startTestStack({ origin: gone.url });
  expect(
    stack.dev.clients.map(({ id }) => id),
    "no client is held to a patient whom nobody knows",
  ).not.toContain("patient-app");
  expect((await stack.ask("telehealth", "Patient/any")).status).toBe(502);
  await stack.close();
});
