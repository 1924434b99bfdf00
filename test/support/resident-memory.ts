import { readFileSync } from "node:fs";

/** Resident memory of a process in MiB (proc(5): VmRSS is in KiB). */
export function residentMiB(pid: number): number {
  const [, kibibytes = ""] = /^VmRSS:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kibibytes) / 1_024;
}
