import { existsSync, readFileSync } from "node:fs";
import { writeWhole } from "./keys.ts";
import type * as runtime from "./runtime.ts";

const variable = "NODE_EXTRA_CA_CERTS";

/**
 * The runtime, whose workers believe servers of the sandbox's own authority too, so that they may run on this machine. Miniflare reads the
 * authorities beside the public ones once, when it is loaded, from where NODE_EXTRA_CA_CERTS says; `bundle` is written for that, and has
 * those that were there before. A second stack in one process believes the first one's authority.
 */
export async function runtimeThatTrusts(ca: string, bundle: string): Promise<typeof runtime> {
  const said = process.env[variable];
  const others = said !== undefined && existsSync(said) ? readFileSync(said, "utf8") : "";
  writeWhole(bundle, `${others}\n${readFileSync(ca, "utf8")}`);
  process.env[variable] = bundle;
  try {
    return await import("./runtime.ts");
  } finally {
    // No child process is to look for it: the state may be gone by then.
    if (said === undefined) delete process.env[variable];
    else process.env[variable] = said;
  }
}
