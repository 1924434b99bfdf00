import { closeSync, fchmodSync, openSync, writeSync, ftruncateSync } from "node:fs";

/**
 * Writes a file that only its owner reads. A file that exists keeps its mode when it is opened, so its mode is set
 * before its text: no other user of the machine reads the text at any moment.
 */
export function writePrivateFile(file: string, text: string): void {
  const opened = openSync(file, "a", 0o600); // "w" would delete the text before the mode is known to be set
  try {
    fchmodSync(opened, 0o600);
    ftruncateSync(opened);
    writeSync(opened, text);
  } finally {
    closeSync(opened);
  }
}
