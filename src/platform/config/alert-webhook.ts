import { isPrivateUrl } from "#fhir/loopback";
import { ConfigError } from "./config-error.ts";

/**
 * Reads `ALERT_WEBHOOK`: an https URL without credentials; undefined for an empty text, or in a deployment from before the
 * alerts. Throws an error that names the variable.
 */
export function readAlertWebhook(text: string | undefined): string | undefined {
  if (text === undefined || text === "") return undefined;
  const url = URL.parse(text);
  if (url === null || !isPrivateUrl(url) || url.username + url.password + url.hash !== "")
    throw new ConfigError("ALERT_WEBHOOK", "an https URL without credentials");
  return url.href;
}
