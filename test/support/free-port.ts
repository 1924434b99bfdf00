import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Test files run at the same time. Each runner has its own range of ports, so that no runner takes a port
// that another runner has chosen and does not use yet.
const portsOfRunner = 1_500;
const firstPort = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * portsOfRunner;

/**
 * A port on which no process listens. It lies below the ports that an operating system assigns by itself,
 * because such a port could be taken before the test uses it.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, firstPort + portsOfRunner);
    const server = createServer();
    const listens = await new Promise<boolean>((settle) => {
      server.once("error", () => settle(false));
      server.listen(port, "127.0.0.1", () => settle(true));
    });
    if (!listens) continue;
    await new Promise((closed) => server.close(closed));
    return port;
  }
}
