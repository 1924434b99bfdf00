import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Test files run side by side: each runner has ports of its own, so that none takes what another has chosen and not yet used.
const portsOfRunner = 1_500;
const firstPort = 20_000 + (Number(process.env["VITEST_POOL_ID"] ?? 0) % 8) * portsOfRunner;

/** A port on which no process listens, below those that a system gives out by itself, which could be taken before it is used. */
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
