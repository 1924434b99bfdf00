import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

// A start that waits longer looks broken. A server of 1,400 search parameters took two minutes: an operator probes it.
const patienceMilliseconds = 20_000;

export interface OwnServer {
  /** FHIR base without a trailing slash. */
  readonly url: string;
  /** The variable of the environment with its bearer token. */
  readonly bearerFrom: string | undefined;
}

/**
 * The members of the entry of an operator's own server, as `phylax origin probe` finds them by reading. The probe of the
 * first start stays in the state folder. Empty if the server cannot be probed now: the next start tries again.
 */
export async function probeOwnServer(
  { url, bearerFrom }: OwnServer,
  state: string,
  say: (line: string) => void,
): Promise<object> {
  const path = join(state, "own-server.json");
  const kept = existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Kept) : undefined;
  if (kept?.url === url) return kept.members;
  say(`origin: asking ${url} what it can do, by reading alone; 20 seconds at most`);
  try {
    const command = join(import.meta.dirname, "../cli/main.ts");
    const bearer = bearerFrom === undefined ? [] : ["--bearer-from", bearerFrom];
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [command, "origin", "probe", url, ...bearer],
      { timeout: patienceMilliseconds, maxBuffer: 16_777_216 },
    );
    const members = JSON.parse(stdout) as object;
    writeFileSync(path, JSON.stringify({ url, members } satisfies Kept));
    return members;
  } catch {
    say(
      `origin: not probed, so its searches are sent as R4 defines them: npx --no phylax origin probe ${url}`,
    );
    return {};
  }
}

interface Kept {
  readonly url: string;
  readonly members: object;
}
