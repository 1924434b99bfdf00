import type { Instant } from "#kernel/clock";
import type { RegistrySql } from "#platform/registry/registry-sql";
import type { ConsentRules, Statement } from "#policy/consent/consent";
import { endStatement, listCases, noteStatement, removeStatement, type CaseRow } from "./case-rows.ts";

/** Files rules beside the Consents of the patient of a case. */
export type FileBesideConsents = (found: CaseRow, rules: ConsentRules) => Promise<void>;

/** The statement of a case, in the registry and beside the Consents of its patient. */
export class CaseStatement {
  readonly #registry: RegistrySql;
  readonly #id: string;
  readonly #file: FileBesideConsents;

  constructor(registry: RegistrySql, id: string, file: FileBesideConsents) {
    this.#registry = registry;
    this.#id = id;
    this.#file = file;
  }

  /**
   * Two officers file no two statements, and no case has the time of a statement that does not follow. False: the case
   * has a statement, or the statement is withdrawn meanwhile.
   */
  async state(statement: Statement, operator: string, clock: () => Instant): Promise<boolean> {
    const step = { statedAt: null, statedBy: operator, statement };
    if (!(await noteStatement(this.#registry, this.#id, step))) return false;
    await this.#follow();
    return await noteStatement(this.#registry, this.#id, { ...step, statedAt: clock() });
  }

  /** Withdraws the statement, filed or unfinished. */
  async unstate(): Promise<void> {
    await endStatement(this.#registry, this.#id);
    await this.#follow();
    await removeStatement(this.#registry, this.#id);
  }

  /** Files what the case says, until the case says the same afterwards: an officer may change the case meanwhile. */
  async #follow(): Promise<void> {
    for (let filed: string | undefined; ;) {
      const [found] = await listCases(this.#registry, { state: "all", id: this.#id });
      if (found === undefined) return;
      const statement = found.statedBy === null ? null : found.statement;
      const now = JSON.stringify(statement);
      if (now === filed) return;
      await this.#file(found, {
        isActive: statement !== null,
        readings: [],
        ...(statement && { statement }),
      });
      filed = now;
    }
  }
}
