import { randomInt } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { writeWhole } from "./keys.ts";

/**
 * Listens on the port of the last start, stored in `file`. If the port is in use, listens on a new port and
 * stores it. Never listens on a port in `taken`.
 */
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

/** A port that is reserved for a server that starts later. */
export interface HeldPort {
  readonly port: number;
  release(): Promise<void>;
}

/** Reserves the stored port. */
export async function holdKeptPort(file: string, taken: readonly number[]): Promise<HeldPort> {
  const holder = newHolder();
  return held(holder, await listenOnKeptPort(holder, file, taken));
}

/**
 * Reserves the port that the caller chose. Throws EADDRINUSE at once if a server listens on it: otherwise a
 * second `npm start` would say so only after all its workers run.
 */
export async function holdPort(port: number): Promise<HeldPort> {
  const holder = newHolder();
  holder.listen(port, "127.0.0.1");
  await once(holder, "listening");
  return held(holder, port);
}

const newHolder = () => createServer((socket) => socket.destroy());
const held = (holder: Server, port: number): HeldPort => ({
  port,
  release: () => new Promise((closed) => holder.close(() => closed())),
});

/**
 * Ports below the range that a system assigns by itself: no outgoing connection takes them between two
 * starts. Tests choose ports above.
 */
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
