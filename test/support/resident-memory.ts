import { readFileSync } from "node:fs";

/** Resident memory of a process in MiB (proc(5): VmRSS is in KiB). */
export const residentMiB = (pid: number): number => statusMiB(pid, "VmRSS");

/** The most resident memory that a process ever had, in MiB (proc(5): VmHWM). */
export const peakResidentMiB = (pid: number): number => statusMiB(pid, "VmHWM");

function statusMiB(pid: number, field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const [, kibibytes = ""] = new RegExp(String.raw`^${field}:\s+(\d+) kB$`, "mu").exec(status) ?? [];
  return Number(kibibytes) / 1_024;
}
