import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Writes a file that only its owner reads. The text goes into a new file of the same folder, which then takes the
 * name: a process that opened an earlier file of this name, or a link that stands there, does not get the text.
 */
export function writePrivateFile(file: string, text: string): void {
  const made = join(dirname(file), `.phylax-${randomUUID()}`);
  const opened = openSync(made, "wx", 0o600); // O_EXCL follows no link and opens no file that exists
  try {
    try {
      writeSync(opened, text);
      fsyncSync(opened);
    } finally {
      closeSync(opened);
    }
    renameSync(made, file);
  } catch (fault) {
    rmSync(made, { force: true });
    throw fault;
  }
}
