import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, test } from "vitest";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

const root = join(import.meta.dirname, "../..");
const folder = mkdtempSync(join(tmpdir(), "phylax-generated-client-"));
let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack({});
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
});
afterAll(async () => {
  await phylax.close();
  rmSync(folder, { recursive: true, force: true });
});

// openapi-typescript needs the compiler's API, which TypeScript 7 does not have yet: `typescript5` has it.
const withTypeScript5 = `import { registerHooks } from "node:module";
registerHooks({ resolve: (name, context, next) => next(name === "typescript" ? "typescript5" : name, context) });`;

/** A program on the generated types. Each line with an expected error is a call that the types must refuse. */
const program = `import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import { Agent, fetch } from "undici";
import type { paths } from "./api.ts";

const [baseUrl = "", ca = "", cert = "", key = ""] = process.argv.slice(2);
const connect = { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) };
const dispatcher = new Agent({ connect });
const client = createClient<paths>({
  baseUrl,
  async fetch(request: Request) {
    const body = request.method === "GET" ? null : await request.text();
    const headers = Object.fromEntries(request.headers);
    const answer = await fetch(request.url, { method: request.method, headers, body, dispatcher });
    return new Response(await answer.text(), { status: answer.status, headers: Object.fromEntries(answer.headers) });
  },
});

const shown = await client.GET("/api/registry");
const digest: string | undefined = shown.data?.digest;
const { data } = await client.GET("/api/clients");
const ids: string[] | undefined = data?.clients.map(({ id }) => id);
const open = await client.GET("/api/proposals", { params: { query: { state: "open" } } });
const refused = await client.POST("/api/proposals/approve", { body: { proposal: "${"0".repeat(32)}" } });
const title: string | undefined = refused.error?.title;
const stale = await client.POST("/api/registry/changes", { body: { expects: "sha256:${"0".repeat(64)}" } });
// @ts-expect-error no such address
const wrongAddress = () => client.GET("/api/nothing");
// @ts-expect-error a proposal has an id
const wrongBody = () => client.POST("/api/proposals/approve", { body: {} });
// @ts-expect-error no such state
const wrongQuery = () => client.GET("/api/proposals", { params: { query: { state: "lost" } } });
void [wrongAddress, wrongBody, wrongQuery];
console.log(
  JSON.stringify({
    digest,
    clients: ids,
    open: open.data?.proposals,
    refused: [refused.response.status, title],
    stale: stale.response.status,
  }),
);
await dispatcher.close();
`;

const run = promisify(execFile);

/** The stack runs in this process, so a program that calls it must not block it. */
async function ended(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { cwd: folder });
  return stdout;
}

test("a client that openapi-typescript makes from the served document compiles, and calls the running door", async ({
  expect,
}) => {
  const { dev } = phylax;
  const { cert, key } = operatorOf(dev, "registrar");
  const { status, text } = await send(dev, { cert, key }, `${dev.ops}/api/openapi.json`);
  expect(status).toBe(200);
  writeFileSync(join(folder, "openapi.json"), text);
  writeFileSync(join(folder, "client.ts"), program);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const compilerOptions = {
    strict: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    target: "es2024",
    module: "nodenext",
    types: ["node"],
    allowImportingTsExtensions: true,
    skipLibCheck: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["client.ts"] }));
  const hook = `data:text/javascript,${encodeURIComponent(withTypeScript5)}`;
  const generator = join(root, "node_modules/openapi-typescript/bin/cli.js");
  await ended(process.execPath, "--import", hook, generator, "openapi.json", "-o", "api.ts");
  await ended(process.execPath, join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json");
  const said = await ended(process.execPath, "client.ts", dev.ops, dev.ca, cert, key);
  expect(JSON.parse(said)).toEqual({
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/u),
    clients: expect.arrayContaining(["telehealth", "payer"]),
    open: [],
    refused: [403, expect.any(String)],
    stale: 412,
  });
});
