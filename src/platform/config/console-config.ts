import * as z from "zod";
import { parseWitnessKey } from "#ledger/tlog/cosignature";
import { parseVerifierKey } from "#ledger/tlog/signed-note";
import { ConfigError } from "./config-error.ts";
import { jsonSetting } from "./json-setting.ts";

const origin = z.url({ protocol: /^https?$/u }).refine((text) => new URL(text).origin === text);
const clientId = z.string().regex(/^[\w.-]{1,64}$/u);

const consoleSettings = z.strictObject({
  /** The console's client id at the issuers of operators. */
  clientId,
  /** The ledger's public origin; the browser reads the logs there. */
  ledger: origin,
  /** C2SP verifier key of the root log: the keys of all logs follow from it. */
  rootKey: z.string().refine((text) => parseVerifierKey(text).ok),
  /** Verifier keys of the witnesses that the console demands. */
  witnesses: z
    .array(z.string().refine((text) => parseWitnessKey(text).ok))
    .max(16)
    .default([]),
  /** The gateway's public origin: its `readyz` shows the state of the origins. */
  gateway: origin,
  /** Look-ups of patients; left out: the console has none. The browser asks the FHIR base with its own token. */
  patients: z
    .strictObject({
      fhir: z.url({ protocol: /^https$/u }),
      issuer: z.url({ protocol: /^https$/u }),
      clientId,
    })
    .optional(),
});

/** Reads `CONSOLE`; undefined for an empty text: there is no console. Throws an error that names the member. */
export function readConsoleSettings(text: string) {
  if (text === "") return undefined;
  const read = consoleSettings.safeParse(jsonSetting(text));
  if (read.success) return read.data;
  throw new ConfigError(
    "CONSOLE",
    `JSON as docs/console.md describes it (${read.error.issues[0]?.path.join(".")})`,
  );
}
