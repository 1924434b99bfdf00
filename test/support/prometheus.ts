import { spawnSync } from "node:child_process";

/** The reason why a test of Debian's package `prometheus` is skipped; false: its commands are here. */
export const withoutPrometheus: string | false = ["promtool", "prometheus"].every(
  (command) => spawnSync(command, ["--version"]).status === 0,
)
  ? false
  : "skipped: promtool and prometheus are not installed";
