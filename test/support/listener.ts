import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** The process that listens on a loopback port (Linux). Throws when there is none. */
export function listenerOn(port: number): number {
  // proc(5), /proc/net/tcp: number, local address:port in hex, remote address, state (0A listens), …; the
  // tenth field is the inode.
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
  const row = rows
    .map((line) => line.trim().split(/\s+/u))
    .find((fields) => fields[1]?.endsWith(local) === true && fields[3] === "0A");
  const pid = readdirSync("/proc").find(
    (name) => /^\d+$/u.test(name) && row !== undefined && holds(name, `socket:[${row[9]}]`),
  );
  if (pid === undefined) throw new Error(`nobody listens on ${port}`);
  return Number(pid);
}

function holds(pid: string, socket: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === socket);
  } catch {
    return false; // another user's process, or a process that has just ended
  }
}
