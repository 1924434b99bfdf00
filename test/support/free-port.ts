import { randomInt } from "node:crypto";
import { createServer } from "node:net";

// Test files run at the same time. Each runner of each group (scripts/test.ts) has its own range of ports, so
// that no runner takes a port that another runner has chosen and does not use yet.
const [groups, runners, portsOfRunner] = [4, 4, 750];
const numberIn = (name: string, count: number) => Number(process.env[name] ?? 0) % count;
const range = numberIn("PHYLAX_TEST_GROUP", groups) * runners + numberIn("VITEST_POOL_ID", runners);
const firstPort = 20_000 + range * portsOfRunner;

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
