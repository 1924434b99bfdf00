import { WitnessMemory } from "#platform/witness/object/witness-memory";
import { serveWitness } from "#platform/witness/isolate/door";

export { WitnessMemory };

/** A witness of logs (C2SP tlog-witness), for an account that the ledger's operators cannot reach. */
export default { fetch: serveWitness } satisfies ExportedHandler<WitnessWorkerEnv>;
