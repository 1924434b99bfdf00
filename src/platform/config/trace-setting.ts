import { isPrivateUrl } from "#fhir/loopback";
import { ConfigError } from "./config-error.ts";

/** The place that receives traces, by the deployment's configuration. */
export interface TraceCollector {
  /** An OTLP/HTTP address, such as `https://collector.example/v1/traces`. */
  readonly url: string;
  /** The part of the requests that is traced: above 0, at most 1. */
  readonly share: number;
  /** The name of a secret with the value of `Authorization`. SECRET_HOSTS must allow it for this address. */
  readonly secret: string | undefined;
}

/** Reads TRACES: `URL SHARE [SECRET]`, or an empty text for no traces. Throws a ConfigError for any other text. */
export function traceCollector(text: string): TraceCollector | undefined {
  if (text === "") return undefined;
  const [address = "", part = "", secret, ...further] = text.split(" ");
  const url = URL.parse(address);
  const share = Number(part);
  const isUrl = url !== null && url.href === address && isPrivateUrl(url) && !/[@?#]/u.test(address);
  if (!isUrl || !/^[01](?:\.\d{1,6})?$/u.test(part) || share <= 0 || share > 1 || further.length > 0)
    throw new ConfigError("TRACES", "https://host/path and a share from 0.000001 to 1");
  return { url: address, share, secret };
}
