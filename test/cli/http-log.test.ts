import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished, test } from "vitest";
import { httpLog } from "../../cli/log/http-log.ts";

/** A ledger that answers 429 this many times before it answers. */
async function ledger(refusals: number, retryAfter: string) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (asked.length <= refusals) response.writeHead(429, { "retry-after": retryAfter }).end("later");
    else response.end("a frame");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { log: httpLog(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, "s0-2026h2"), asked };
}

test("a reader that gets 429 waits as long as the answer says, and reads the object then", async ({
  expect,
}) => {
  const { log, asked } = await ledger(2, "0");
  expect(new TextDecoder().decode(await log.frame(7))).toBe("a frame");
  expect(asked).toEqual(Array.from({ length: 3 }, () => "/s0-2026h2/frame/7"));
});

test("a 429 with a wait over two minutes, or without a time, is an error at once", async ({ expect }) => {
  for (const retryAfter of ["86400", "soon"]) {
    const { log, asked } = await ledger(1, retryAfter);
    await expect(log.checkpoint()).rejects.toThrow("answered 429");
    expect(asked).toHaveLength(1);
  }
});

test("a connection that breaks amid an object, or a ledger that is away for a moment, is asked again; the checkpoint is not", async ({
  expect,
}) => {
  let asked = 0;
  const server = createServer((_, response) => {
    asked += 1;
    if (asked === 1) response.writeHead(200, { "content-length": "7" }).write("a f");
    if (asked === 1) setTimeout(() => response.destroy(), 20);
    if (asked === 2) response.writeHead(503).end();
    if (asked > 2) response.end("a frame");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  expect(new TextDecoder().decode(await httpLog(url, "s0-2026h2").frame(7))).toBe("a frame");
  expect(asked).toBe(3);
  asked = 0;
  await expect(httpLog(url, "s0-2026h2").checkpoint()).rejects.toThrow("broke off");
  expect(asked).toBe(1);
});
