import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, test } from "vitest";
import { ensureAuthority, ensureServerCertificate } from "../../sandbox/certificates.ts";
import { startFront } from "../../sandbox/front/front.ts";

const dir = join(tmpdir(), `phylax-end-${randomUUID()}`);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a server of the sandbox ends at once, although a connection has not begun its TLS, and another is idle after it", async ({
  expect,
}) => {
  const { clientCa } = await ensureAuthority(dir);
  const front = await startFront({
    port: 0,
    server: await ensureServerCertificate(dir),
    clientCa: clientCa.cert,
    target: { host: "127.0.0.1", port: 9 }, // no request is sent
  });
  const bare = connectTcp(front.port, "127.0.0.1");
  await once(bare, "connect");
  const idle = connectTls({ port: front.port, host: "127.0.0.1", rejectUnauthorized: false });
  await once(idle, "secureConnect");
  const ended = [bare, idle].map(
    (socket) =>
      new Promise<boolean>((resolve) =>
        socket.on("error", () => undefined).once("close", () => resolve(true)),
      ),
  );
  const late = new Promise<"late">((resolve) => setTimeout(resolve, 20_000, "late"));
  expect(await Promise.race([front.close(), late])).toBeUndefined();
  expect(await Promise.all(ended)).toEqual([true, true]);
});
