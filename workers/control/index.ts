import { WorkerEntrypoint } from "cloudflare:workers";
import { authorityMillisecondsMax } from "#identity/authority/authority";
import type { AuthorityProblem } from "#identity/authority/authority-document";
import type { RegistryEnd } from "#registry/ends-soon";
import type { RequestQuota } from "#limits/request-quota";
import type { MergeMode } from "#registry/merge";
import type { RegistryProblem } from "#registry/problem";
import { inList, readDenial, readDenials, type DenialProblem } from "#identity/denial-document";
import { instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { ConsentDesk } from "#platform/consents/consent-desk";
import { ConsentHistory } from "#platform/consents/consent-history";
import { clientStandings, type ClientStanding } from "#registry/client-standing";
import { readChange } from "#registry/read";
import type { WaitingWork } from "#registry/waiting-work";
import {
  planRegistry,
  showRegistry,
  type RegistryPlan,
  type ShownRegistry,
} from "#platform/registry/apply-registry";
import { registryEnds, requestQuotas, waitingWork } from "#platform/registry/console-overview";
import { log } from "#platform/log";
import { AuthorityKeeping } from "#platform/authorities/authority-desk";
import { listAuthorities, type ListedAuthority } from "#platform/authorities/authority-rows";
import { endDenied } from "#platform/authorities/end-denied";
import { keyList } from "#platform/config/key-list-setting";
import { AgreementReading } from "#platform/registry/agreement-reading";
import { PolicyReading } from "#platform/registry/policy-reading";
import { lastProbes, recordProbe, type LastProbe, type RecordedProbe } from "#platform/origins/origin-probes";
import { readRegistryState } from "#platform/registry/read-registry-state";
import { unregisteredField } from "#platform/registry/denied-entry";
import { type ApprovalVariables, maySeed } from "#platform/registry/one-person";
import { admitOperator, type NewOperator } from "#platform/registry/admit-operator";
import {
  findOperator,
  findSigningIssuer,
  type OperatorEntry,
  type SigningIssuer,
} from "#platform/registry/operators";
import {
  listOperators,
  type NotNarrowed,
  removeOperator,
  suspendOperator,
} from "#platform/operators/operator-rows";
import type { ListedOperator } from "#registry/operator-document";
import { OwnTokenRevocation } from "#platform/revocation/isolate/own-token-revocation";
import { RevocationFeed } from "#platform/revocation/isolate/feed";
import { ProposalDesk } from "#platform/proposals/proposal-desk";
import { CaseDesk, CaseOpening } from "#platform/cases/case-desk";
import { ReviewDesk, ReviewOpening } from "#platform/reviews/review-desk";
import type { LiveDenial } from "#platform/revocation/object/store";
import { within } from "#platform/within";
import {
  type AppliedRegistry,
  registryRules,
  Revocations,
  revocationsOf,
} from "#platform/revocation/object/revocations";
import { RowLeaseBook } from "#platform/row-leases/object/row-leases";
import { KeyedRequests } from "#platform/idempotency/object/keyed-requests";

export {
  AgreementReading,
  AuthorityKeeping,
  ConsentDesk,
  ConsentHistory,
  KeyedRequests,
  OwnTokenRevocation,
  PolicyReading,
  RevocationFeed,
  Revocations,
  RowLeaseBook,
};
export { CaseDesk, CaseOpening, ProposalDesk, ReviewDesk, ReviewOpening };

// P4: a denial is in force within ten seconds, also while the registry hangs.
const registryPatienceMilliseconds = 2_000;

/** A lift that needs a second person. */
interface LiftRefused {
  readonly reason: "approval_required";
}

/**
 * The only way to write the registry. `APPROVALS` of this worker holds each caller: without `one-person` an act that
 * opens access is refused unless a second person approved its proposal.
 */
export class RegistryDesk extends WorkerEntrypoint<ControlEnv> {
  /**
   * Merges a registry file of the sandbox's launcher: the whole file, or nothing and a JSON pointer to the
   * conflict. Every deployment refuses it.
   */
  async apply(document: unknown, mode: MergeMode = "add"): Promise<Result<AppliedRegistry, RegistryProblem>> {
    return await revocationsOf(this.env).seed(document, mode);
  }

  /** Merges a registry file. `mayOpen` false: a file that opens access is refused, since one person sends it. */
  async merge(document: unknown, mayOpen: boolean): Promise<Result<AppliedRegistry, RegistryProblem>> {
    return await revocationsOf(this.env).apply(document, "add", mayOpen);
  }

  /** The registry as a registry file, and the digest of its state (docs/registry.md). */
  async show(): Promise<ShownRegistry> {
    return await showRegistry(this.env.REGISTRY);
  }

  /** Each client with what it has, what it needs and what ends soon. */
  async clients(): Promise<readonly ClientStanding[]> {
    return clientStandings(await readRegistryState(this.env.REGISTRY), instant(Date.now()));
  }

  /** The entries that a change would touch; nothing is written. */
  async plan(document: unknown): Promise<Result<RegistryPlan, RegistryProblem>> {
    return await planRegistry(this.env.REGISTRY, document, registryRules(this.env));
  }

  /**
   * Applies a change to the state that it expects: the whole change, or nothing and a JSON pointer to the
   * problem. `mayOpen` false: a change that opens access is refused, since one person sends it.
   */
  async change(document: unknown, mayOpen: boolean): Promise<Result<AppliedRegistry, RegistryProblem>> {
    const read = readChange(document, this.env.PUBLIC_URL);
    if (!read.ok) return read;
    if (read.value.expects === undefined)
      return err({ reason: "invalid", pointer: "/expects", problem: "is needed: plan the change first" });
    return await revocationsOf(this.env).apply(document, "change", mayOpen);
  }

  /** Stores the findings of a probe of a registered origin, and says of which members it found less. */
  async probed(document: unknown, operator: string): Promise<Result<RecordedProbe, RegistryProblem>> {
    return await recordProbe(this.env.REGISTRY, document, { by: operator, at: instant(Date.now()) });
  }

  async probes(): Promise<readonly LastProbe[]> {
    return await lastProbes(this.env.REGISTRY);
  }

  /**
   * Denies a token, key, certificate, client, agreement, grant, policy, authority or person from now on, or each of a list
   * (docs/revocation.md). A name that is not registered refuses the whole list: a misspelt client would stay admitted.
   * While the registry does not answer, the denials are made without that check. A fault amid a list may leave a part of
   * the list denied: a repeat is safe.
   */
  async revoke(document: unknown): Promise<Result<void, DenialProblem>> {
    const read = readDenials(document);
    if (!read.ok) return read;
    const { REGISTRY, PUBLIC_URL } = this.env;
    const fields = await within(
      registryPatienceMilliseconds,
      Promise.all(read.value.map((denial) => unregisteredField(REGISTRY, denial, PUBLIC_URL))),
      "the registry does not answer in time",
    ).catch(() => []);
    for (const [index, field] of fields.entries()) {
      if (field === undefined) continue;
      const problem = { reason: "denial_unregistered", field } as const;
      return err(Array.isArray(document) ? inList(index, problem) : problem);
    }
    const revocations = revocationsOf(this.env);
    for (const denial of read.value) await revocations.deny(denial); // all, before anything that may be late
    const at = instant(Date.now());
    const keys = keyList("CONSENT_KEY", this.env.CONSENT_KEY);
    const ends = endDenied(REGISTRY, keys, read.value, { at, by: "an operator" });
    await within(registryPatienceMilliseconds, ends, "the registry does not answer in time").catch(
      async () => {
        // No end is stored: the denial of a token lasts as long as an authority that the token may have made.
        const until = instant(at + authorityMillisecondsMax);
        for (const denial of read.value)
          if (denial.kind === "token") await revocations.deny({ ...denial, until });
      },
    );
    return ok(undefined);
  }

  /** The stored authorities under which jobs act. A denial ends one. */
  async authorities(document: unknown): Promise<Result<readonly ListedAuthority[], AuthorityProblem>> {
    return await listAuthorities(this.env.REGISTRY, document, instant(Date.now()));
  }

  /** The registered operators, with the roles that each has for a limited time. */
  async operators(): Promise<readonly ListedOperator[]> {
    return await listOperators(this.env.REGISTRY, instant(Date.now()));
  }

  /** Suspends an operator, for a further operator. Returns the entry before and after. */
  async suspendOperator(id: string, operator: string): Promise<Result<object, NotNarrowed>> {
    return await suspendOperator(this.env.REGISTRY, id, { operator, at: instant(Date.now()) });
  }

  /** Removes an operator, for a further operator. Returns its entry. */
  async removeOperator(id: string, operator: string): Promise<Result<object, NotNarrowed>> {
    return await removeOperator(this.env.REGISTRY, id, { operator, at: instant(Date.now()) });
  }

  /** Ends a denial; `false` when there was none. Under `two-persons` an approved proposal alone ends a denial. */
  async lift(denial: unknown): Promise<Result<boolean, DenialProblem | LiftRefused>> {
    const read = readDenial(denial);
    if (!read.ok) return read;
    const lifted = await revocationsOf(this.env).lift(read.value);
    return lifted === "approval_required" ? err({ reason: lifted }) : ok(lifted);
  }
}

/** The registered operators, read-only: for the ops worker, which never writes the registry. */
export class OperatorRoll extends WorkerEntrypoint<ControlEnv> {
  async find(x5t: string): Promise<OperatorEntry | undefined> {
    return await findOperator(this.env.REGISTRY, x5t, instant(Date.now()));
  }

  /** An issuer that operators may sign in with, as the registry has it now. */
  async issuer(iss: string): Promise<SigningIssuer | undefined> {
    return await findSigningIssuer(this.env.REGISTRY, iss);
  }

  /**
   * Names of the current denials, without denials for clients or for tokens and keys of further issuers.
   */
  async denials(issuer: string | undefined): Promise<readonly string[]> {
    const news = await revocationsOf(this.env).news({
      client: "",
      issuers: issuer === undefined ? [] : [issuer],
    }); // no client has this id
    if (news.kind !== "whole") throw new Error("the whole state was asked for");
    return news.denied.map(({ name }) => name);
  }
}

/** One more than a page shows, so that the page can say that there are more. */
const denialsReadMax = 501;

/** Reads for the operators' console, besides the registry file. It writes nothing. */
export class ConsoleDesk extends WorkerEntrypoint<ControlEnv> {
  /** The ends of agreements and certificates, the first first. */
  async ends(): Promise<readonly RegistryEnd[]> {
    return await registryEnds(this.env.REGISTRY);
  }

  /** The request quotas of the grants of active clients. */
  async quotas(): Promise<readonly RequestQuota[]> {
    return await requestQuotas(this.env.REGISTRY);
  }

  /** Names of the live denials, at most 501. */
  async denials(): Promise<readonly LiveDenial[]> {
    return await revocationsOf(this.env).denials(denialsReadMax);
  }

  /** The numbers of open reviews of break-glass and of open proposals. */
  async waiting(): Promise<WaitingWork> {
    return await waitingWork(this.env.REGISTRY, instant(Date.now()));
  }
}

/**
 * Admits operators. No worker's configuration binds it, because a caller could make itself an operator, and every
 * deployment refuses its call. Only the development launcher binds it.
 */
export class OperatorDesk extends WorkerEntrypoint<ControlEnv & ApprovalVariables> {
  async admit(operator: NewOperator): Promise<void> {
    if (!maySeed(this.env)) throw new Error("control: only the sandbox admits operators without a person");
    await admitOperator(this.env.REGISTRY, operator);
  }
}

export default {
  fetch: () => new Response(null, { status: 404 }),
  /** Each day: a log event for each certificate and agreement that ends within thirty days, or has ended. */
  async scheduled(_controller, { REGISTRY }) {
    for (const { id, warnings } of clientStandings(await readRegistryState(REGISTRY), instant(Date.now())))
      for (const { what, name, ends } of warnings)
        log({ event: "client_ending", client: id, what, name, ends });
  },
} satisfies ExportedHandler<ControlEnv>;
