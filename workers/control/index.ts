import { WorkerEntrypoint } from "cloudflare:workers";
import type { MergeMode } from "#registry/merge";
import type { RegistryProblem } from "#registry/document";
import { readDenial, type DenialProblem } from "#identity/denial";
import { ok, type Result } from "#kernel/result";
import type { Applied } from "#platform/registry/apply-registry";
import { admitOperator, type NewOperator } from "#platform/registry/admit-operator";
import {
  findOperator,
  findSigningIssuer,
  type OperatorEntry,
  type SigningIssuer,
} from "#platform/registry/operators";
import { OwnTokenRevocation } from "#platform/revocation/isolate/own-token-revocation";
import { RevocationFeed } from "#platform/revocation/isolate/feed";
import { Revocations, revocationsOf } from "#platform/revocation/object/revocations";

export { OwnTokenRevocation, RevocationFeed, Revocations };

/** The one way to write the registry. */
export class RegistryDesk extends WorkerEntrypoint<ControlEnv> {
  /** Merges a registry file (DESIGN §5): all of it, or nothing and a JSON pointer to what stands against it. */
  async apply(document: unknown, mode: MergeMode = "add"): Promise<Result<Applied, RegistryProblem>> {
    return await revocationsOf(this.env).apply(document, mode);
  }

  /** Denies a token, key, certificate, client, agreement, grant or policy from now on: DESIGN §5. */
  async revoke(denial: unknown): Promise<Result<void, DenialProblem>> {
    const read = readDenial(denial);
    return read.ok ? ok(await revocationsOf(this.env).deny(read.value)) : read;
  }

  /** Ends a denial; `false` when there was none. */
  async lift(denial: unknown): Promise<Result<boolean, DenialProblem>> {
    const read = readDenial(denial);
    return read.ok ? ok(await revocationsOf(this.env).lift(read.value)) : read;
  }
}

/** Who may administer: for the operators' door, which reads and never writes it. */
export class OperatorRoll extends WorkerEntrypoint<ControlEnv> {
  async find(x5t: string): Promise<OperatorEntry | undefined> {
    return await findOperator(this.env.REGISTRY, x5t);
  }

  /** An issuer whose people may be operators, as the registry has it now. */
  async issuer(iss: string): Promise<SigningIssuer | undefined> {
    return await findSigningIssuer(this.env.REGISTRY, iss);
  }

  /** Names of what is denied now, apart from what concerns clients or tokens and keys of other issuers. */
  async denials(issuer: string | undefined): Promise<readonly string[]> {
    const news = await revocationsOf(this.env).news({
      client: "",
      issuers: issuer === undefined ? [] : [issuer],
    }); // no client has this id
    if (news.kind !== "whole") throw new Error("the whole was asked for");
    return news.denied.map(({ name }) => name);
  }
}

/** Admits operators. In no worker's configuration: whoever reached it could make themselves one. The development launcher binds it. */
export class OperatorDesk extends WorkerEntrypoint<ControlEnv> {
  async admit(operator: NewOperator): Promise<void> {
    await admitOperator(this.env.REGISTRY, operator);
  }
}

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<ControlEnv>;
