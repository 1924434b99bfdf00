import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureAuthority } from "../../../sandbox/certificates.ts";
import { keysOf } from "../../../sandbox/worker-settings.ts";

/**
 * The authorities, keys and secrets that all doors of a process share. They are made when the first door
 * opens.
 */
export interface DoorKeys extends Awaited<ReturnType<typeof keysOf>> {
  readonly state: string;
  readonly pki: string;
  readonly ca: string;
  readonly clientCa: { readonly cert: string; readonly key: string };
}

let made: Promise<DoorKeys> | undefined;

export const doorKeys = (): Promise<DoorKeys> => (made ??= makeKeys());

async function makeKeys(): Promise<DoorKeys> {
  const state = mkdtempSync(join(tmpdir(), "phylax-door-"));
  process.once("exit", () => rmSync(state, { recursive: true, force: true }));
  const pki = join(state, "pki");
  const { serverCa, clientCa } = await ensureAuthority(pki);
  return { ...(await keysOf(state)), state, pki, ca: serverCa.cert, clientCa };
}
