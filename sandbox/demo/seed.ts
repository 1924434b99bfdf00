import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import type { NewOperator } from "#platform/registry/admit-operator";
import type { RegistryProblem } from "#registry/problem";
import type { Result } from "#kernel/result";
import { writeWhole } from "../keys.ts";

/** The registry as the start of the sandbox writes it. */
export interface SeededRegistry {
  /** Puts the entries of a registry file in the place of registered entries of the same names. */
  replaceRegistry(document: unknown): Promise<Result<unknown, RegistryProblem>>;
  admitOperator(operator: NewOperator): Promise<void>;
  hasClients(): Promise<boolean>;
}

type Entry = Readonly<Record<string, unknown>>;
/** Registry file of the demonstration: lists of entries by name. */
export type SeedDocument = Readonly<Record<string, readonly Entry[]>>;

/** The client that an entry of a list is about. */
const clientOf: Readonly<Record<string, (entry: Entry) => unknown>> = {
  clients: ({ id }) => id,
  agreements: ({ client }) => client,
  grants: ({ client }) => client,
};

/**
 * Registers the demonstration's entries, each once: an entry that an earlier start registered belongs to the
 * operators since then. They may have suspended, changed or removed it, and a start undoes nothing of that.
 * An entry with a new content (a new version of the project, another origin) is registered again; a client
 * whose new entry the registry refuses, such as a suspended one, is left as it is, and `say` names it.
 */
export class DemonstrationSeed {
  readonly #file: string;
  readonly #known: Record<string, string>;
  readonly #registry: SeededRegistry;
  readonly #say: (line: string) => void;

  private constructor(
    file: string,
    known: Record<string, string>,
    registry: SeededRegistry,
    say: (line: string) => void,
  ) {
    [this.#file, this.#known, this.#registry, this.#say] = [file, known, registry, say];
  }

  /** @param file names what earlier starts registered. A registry without clients is new, or was lost: it has nothing. */
  static async open(
    file: string,
    registry: SeededRegistry,
    say: (line: string) => void,
  ): Promise<DemonstrationSeed> {
    const isKept = existsSync(file) && (await registry.hasClients());
    return new DemonstrationSeed(file, isKept ? JSON.parse(readFileSync(file, "utf8")) : {}, registry, say);
  }

  async addEntries(document: SeedDocument): Promise<void> {
    const { policies = [], ...lists } = document;
    const bodies = new Map(policies.map(({ name, body }) => [name, body]));
    // a grant changes with the policy that it names
    const content = (entry: Entry) => ({ ...entry, policy: bodies.get(entry["policy"]) });
    let fresh = selected(lists, (entry, list) => this.#isNew(list, entry, content(entry)));
    for (;;) {
      if (Object.values(fresh).every(({ length }) => length === 0)) return;
      const applied = await this.#registry.replaceRegistry({ ...fresh, policies });
      if (applied.ok) break;
      const { pointer, problem } = applied.error;
      const client = clientAt(fresh, pointer);
      if (client === undefined) throw new Error(`registry: ${pointer} ${problem}`);
      this.#say(`registry: ${JSON.stringify(client)} stays as the operators left it: ${pointer} ${problem}`);
      fresh = selected(fresh, (entry, list) => clientOf[list]?.(entry) !== client);
    }
    for (const [list, entries] of Object.entries(fresh))
      for (const entry of entries) this.#note(list, entry, content(entry));
  }

  async addOperator(operator: NewOperator): Promise<void> {
    if (!this.#isNew("operators", operator, operator)) return;
    await this.#registry.admitOperator(operator);
    this.#note("operators", operator, operator);
  }

  #isNew(list: string, entry: Entry, content: Entry): boolean {
    return this.#known[nameOf(list, entry)] !== digestOf(content);
  }

  /** Stored after the registry: a start that is killed between the two registers the entry again. */
  #note(list: string, entry: Entry, content: Entry): void {
    this.#known[nameOf(list, entry)] = digestOf(content);
    writeWhole(this.#file, JSON.stringify(this.#known));
  }
}

const selected = (document: SeedDocument, isKept: (entry: Entry, list: string) => boolean): SeedDocument =>
  Object.fromEntries(
    Object.entries(document).map(([list, entries]) => [list, entries.filter((entry) => isKept(entry, list))]),
  );

/** The client that a problem's JSON pointer is about: `/clients/3/status`, `/grants/0`. */
function clientAt(document: SeedDocument, pointer: string): unknown {
  const [, list = "", index = ""] = pointer.split("/");
  const entry = document[list]?.[Number(index)];
  return entry && clientOf[list]?.(entry);
}

const nameOf = (list: string, { iss, id, name, client, origin, purpose }: Entry): string =>
  JSON.stringify(list === "grants" ? [list, client, origin, purpose] : [list, iss ?? id ?? name]);

const digestOf = (entry: Entry): string =>
  createHash("sha256").update(JSON.stringify(entry)).digest("base64url");
