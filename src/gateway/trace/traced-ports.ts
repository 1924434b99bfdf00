import type { ProofSink } from "#audit/ports";
import type { OriginAnswer, OriginCaller, Origins, OriginWritten } from "#fhir/ports";
import type { Trace } from "./trace.ts";

type Answers = { readonly kind: OriginAnswer["kind"] | OriginWritten["kind"] } | undefined;

/** The origins for a traced request: a call's span ends with the head of its answer. */
export function tracedOrigins(origins: Origins, trace: Trace): Origins {
  const inSpan = <A extends Answers>(caller: OriginCaller, call: (caller: OriginCaller) => Promise<A>) =>
    trace.during(
      "origin",
      (traceparent) => call({ ...caller, traceparent }),
      (answer) => ({ outcome: answer?.kind ?? "unknown" }),
    );
  return {
    traits: (origin) => origins.traits(origin),
    ask: (origin, question, caller) => inSpan(caller, (called) => origins.ask(origin, question, called)),
    open: (origin, url, caller, part) => inSpan(caller, (called) => origins.open(origin, url, called, part)),
    send: (origin, write, caller) => inSpan(caller, (called) => origins.send(origin, write, called)),
  };
}

/** The ledger for a traced request. */
export const tracedLedger = (ledger: ProofSink, trace: Trace): ProofSink => ({
  record: (events, sender) => trace.during("append", () => ledger.record(events, sender)),
  recordOnce: (events, proof) => trace.during("append", () => ledger.recordOnce(events, proof)),
});
