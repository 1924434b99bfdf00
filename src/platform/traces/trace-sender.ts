import type { Clock } from "#kernel/clock";
import { currentValue, namedSecret, type NamedSecrets } from "#platform/config/named-secret";
import type { TraceCollector } from "#platform/config/trace-setting";
import { log } from "#platform/log";
import { within } from "#platform/within";
import { otlpOf, type EndedTrace } from "./otlp.ts";

interface SenderMeans {
  readonly secrets: NamedSecrets;
  readonly clock: Clock;
  /** A random number from 0 to 1, exclusive. */
  readonly chance: () => number;
  readonly keepAlive: (work: Promise<void>) => void;
}

const sendMilliseconds = 2_000;
// A collector that hangs costs this many traces of some 10 KB in the isolate's memory.
const sendingMax = 32;
const sayMilliseconds = 60_000;

/** The sample, and the way of its traces. */
interface TraceSender {
  /** Decides by chance whether a request is traced. */
  readonly isInSample: () => boolean;
  readonly send: (trace: EndedTrace) => void;
}

/**
 * Sends each trace by itself. No request waits for the collector: a trace that the collector does not take in time is
 * lost, and so is each trace beyond those under way.
 */
export function traceSender({ url, share, secret }: TraceCollector, means: SenderMeans): TraceSender {
  const { secrets, clock, chance, keepAlive } = means;
  let sending = 0;
  let lost = 0;
  let saidAt = -Infinity;
  const lose = () => {
    lost += 1;
    if (clock() - saidAt < sayMilliseconds) return;
    log({ event: "traces_lost", traces: lost });
    [lost, saidAt] = [0, clock()];
  };
  const post = async (body: string): Promise<void> => {
    sending += 1;
    try {
      const headers: Record<string, string> = { "content-type": "application/json" };
      if (secret !== undefined) {
        const named = namedSecret(secret, [url], secrets, "the Authorization of a collector");
        const value = await within(sendMilliseconds, currentValue(named), "traces: no secret in time");
        headers["authorization"] = value.reveal();
      }
      const response = await fetch(url, {
        method: "POST",
        headers,
        body,
        redirect: "manual", // a collector could send the credential anywhere
        signal: AbortSignal.timeout(sendMilliseconds),
      });
      await response.body?.cancel();
      if (!response.ok) lose();
    } catch {
      lose();
    } finally {
      sending -= 1;
    }
  };
  return {
    isInSample: () => chance() < share,
    send: (trace) => {
      if (sending < sendingMax) keepAlive(post(otlpOf(trace)));
      else lose();
    },
  };
}
