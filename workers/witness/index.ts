import { WitnessMemory } from "#platform/durable/witness-memory";
import { serveWitness } from "#platform/witness-door";

export { WitnessMemory };

/** A witness of logs (C2SP tlog-witness), for an account that the ledger's operators cannot reach. */
export default { fetch: serveWitness } satisfies ExportedHandler<WitnessWorkerEnv>;
