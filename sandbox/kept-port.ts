import { randomInt } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { writeWhole } from "./keys.ts";

/** Listens on the port of the last start, which `file` keeps; when somebody else has it, on another one, which is kept from then on. Never on one of `taken`. */
export async function listenOnKeptPort(
  server: Server,
  file: string,
  taken: readonly number[],
): Promise<number> {
  let port = existsSync(file) ? Number(readFileSync(file, "utf8")) : randomPort();
  while (taken.includes(port) || !(await listens(server, port))) port = randomPort();
  writeWhole(file, String(port));
  return port;
}

/** Such a port for a server that starts later, and which is held until then. */
export async function holdKeptPort(
  file: string,
  taken: readonly number[],
): Promise<{ readonly port: number; release(): Promise<void> }> {
  const holder = createServer((socket) => socket.destroy());
  const port = await listenOnKeptPort(holder, file, taken);
  return { port, release: () => new Promise((closed) => holder.close(() => closed())) };
}

/** Below those that a system gives out by itself: no outgoing connection takes it between two starts. Above are those that tests choose. */
const randomPort = (): number => randomInt(10_000, 20_000);

/** False when the port is taken. */
function listens(server: Server, port: number): Promise<boolean> {
  return new Promise((settle, fail) => {
    const failed = (fault: NodeJS.ErrnoException) =>
      fault.code === "EADDRINUSE" || fault.code === "EACCES" ? settle(false) : fail(fault);
    server.once("error", failed);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", failed);
      settle(true);
    });
  });
}
