import { ok, type Result } from "#kernel/result";
import type { ConsentBook, ConsentOfPatient } from "#policy/consent/consent-book";
import type { Access } from "#policy/row-access";
import type { RowNeeds } from "#policy/row-needs";
import type { KnownFacts, LackingRow, RelateRefusal, RowReader, RowsRefusal } from "#gateway/origin/asking";
import { LabelsAtOrigin, type LabelsAsker } from "./labels-at-origin.ts";
import { RelationsAtOrigin, type RememberedRelations } from "./relations-at-origin.ts";
import { RequestConsents, type ConsentPorts, type JudgedQuestion } from "./request-consents.ts";
import { TargetsAtOrigin, type GrantOf } from "./targets-at-origin.ts";

export interface FactPorts extends ConsentPorts {
  readonly relations: RememberedRelations;
}

/**
 * Resources that a request follows for their labels, and as many targets: five rows with as many as a row may have, or
 * five hundred rows with ten. Of as many patients the relation to the user is asked for.
 */
const followedMax = 5_000;

const none: ReadonlySet<number> = new Set();
const relatedAlone = ["related"] as const;

/**
 * The facts beside the rows of a request, each asked for once and before a row is judged by it: the relations of the
 * user to patients, the Consents of patients, the labels of resources to which rows refer, the targets of Provenances. The entries of a bundle share
 * them.
 */
export class ResolvedFacts implements KnownFacts {
  readonly #consents: RequestConsents;
  readonly #targets: TargetsAtOrigin;
  readonly #labels: LabelsAtOrigin | undefined;
  readonly #relations: RelationsAtOrigin | undefined;
  readonly #followed = {
    related: new Set<string>(),
    referred: new Set<string>(),
    targets: new Set<string>(),
  };
  #resolving: Promise<unknown> | undefined;

  /** @param grantsOf the grants by which a resource that a row refers to is seen. */
  constructor(
    question: JudgedQuestion,
    ports: FactPorts,
    grantOf: GrantOf,
    grantsOf: LabelsAsker["grantsOf"],
  ) {
    const { policy, who, origin, at } = question;
    this.#relations = RelationsAtOrigin.of(who, policy.users, origin, at, ports.relations);
    this.#targets = new TargetsAtOrigin(grantOf);
    this.#consents = new RequestConsents(question, this.#targets.book, ports);
    this.#labels = policy.labels.throughReferences
      ? new LabelsAtOrigin({ caller: who, grantsOf, consents: this.#consents.book }, at)
      : undefined;
  }

  /** The facts as far as they are known, for the judge of a row. */
  get books(): Pick<Access, "targets" | "referred" | "usersPatients"> & {
    readonly consents: ConsentBook;
  } {
    return {
      consents: this.#consents.book,
      targets: this.#targets.book,
      referred: this.#labels?.book,
      usersPatients: this.#relations?.patients,
    };
  }

  expected(): Promise<boolean> {
    return this.#consents.expected();
  }

  async relate(
    named: Iterable<string>,
    unnamed: ReadonlySet<string>,
    reader: RowReader,
  ): Promise<Result<undefined, RelateRefusal>> {
    return (await this.#relations?.relate(named, unnamed, reader)) ?? ok(undefined);
  }

  async coverRelation(reader: RowReader): Promise<Result<undefined, RowsRefusal>> {
    const relations = this.#relations;
    return relations === undefined ? ok(undefined) : this.#inTurn(() => relations.learn([], reader));
  }

  async resolve(
    rows: readonly LackingRow[],
    reader: RowReader,
  ): Promise<Result<ReadonlySet<number>, RowsRefusal>> {
    if (rows.every(({ needs }) => needs === undefined)) return ok(none);
    return this.#inTurn(() => this.#resolve(rows, reader, this.#targets));
  }

  /** Questions of a request run side by side: they may lack the same facts. */
  async #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    while (this.#resolving !== undefined) await this.#resolving;
    const resolving = ask();
    this.#resolving = resolving.catch(() => undefined);
    try {
      return await resolving;
    } finally {
      this.#resolving = undefined;
    }
  }

  /** @param targets undefined for rows that are targets: a Provenance that is a target is hidden. */
  async #resolve(
    rows: readonly LackingRow[],
    reader: RowReader,
    targets?: TargetsAtOrigin,
  ): Promise<Result<ReadonlySet<number>, RowsRefusal>> {
    await this.#consents.expected();
    const unfollowed = new Set<number>();
    const needs = rows.map((row) => row.needs);
    // The relation to the patients of targets may not be known, if the client may see the targets without it.
    const steps = targets === undefined ? relatedAlone : (["related", "targets", "related"] as const);
    for (const kind of steps) {
      const names = this.#follow(kind, needs, unfollowed);
      if (names.size === 0) continue;
      const learned = await (kind === "related"
        ? this.#relations?.learn(names, reader)
        : targets?.learn(names, this.#inside(reader)));
      if (learned?.ok === false) return learned;
      for (const [index, row] of rows.entries())
        if ((needs[index]?.[kind]?.length ?? 0) > 0) needs[index] = row.again();
    }
    for (const row of this.#targets.seen) reader.names.concerned.decide(row);
    const patients = new Set(needs.flatMap((row) => row?.patients ?? []));
    if (!(await this.#consents.learn(patients)))
      return { ok: false, error: { reason: "consents_unavailable" } };
    if (this.#labels === undefined) return ok(unfollowed);
    for (const [index, row] of rows.entries())
      if ((needs[index]?.patients.length ?? 0) > 0) needs[index] = row.again();
    const labelled = await this.#labels.learn(
      this.#follow("referred", needs, unfollowed),
      this.#inside(reader),
    );
    return labelled.ok ? ok(unfollowed) : labelled;
  }

  /** For rows that decide about rows: their facts are asked for in the same turn. */
  #inside(reader: RowReader): RowReader {
    const inside: RowReader = {
      ask: (question) => reader.ask(question),
      held: reader.held,
      barrier: reader.barrier,
      traits: () => reader.traits(),
      names: reader.names,
      basesAt: (base) => reader.basesAt(base),
      resolve: (inner) => this.#resolve(inner, inside),
    };
    return inside;
  }

  /** What to ask for, in the order of the rows, within the limit of the request. */
  #follow(
    kind: "related" | "referred" | "targets",
    needs: readonly (RowNeeds | undefined)[],
    unfollowed: Set<number>,
  ): ReadonlySet<string> {
    const followed = this.#followed[kind];
    const asked = new Set<string>();
    for (const [index, row] of needs.entries()) {
      for (const name of row?.[kind] ?? []) {
        if (!followed.has(name) && followed.size >= followedMax) unfollowed.add(index);
        else asked.add(name);
        if (asked.has(name)) followed.add(name);
      }
    }
    return asked;
  }

  opening(...row: Parameters<ConsentBook["opening"]>): (id: string) => void {
    return this.#consents.book.opening(...row);
  }

  denyingOf(patient: string): Promise<number | undefined> {
    return this.#consents.denyingOf(patient);
  }

  get permitting(): readonly ConsentOfPatient[] | undefined {
    return this.#consents.areOnFile ? this.#consents.book.permitting : undefined;
  }

  statingOf(patient: string): ReturnType<ConsentBook["statingOf"]> {
    return this.#consents.book.statingOf(patient);
  }

  stand(): Promise<boolean> {
    return this.#consents.stand();
  }

  get generation(): number {
    return this.#consents.generation;
  }

  judgeAnew(): void {
    this.#consents.judgeAnew();
    this.#labels?.forget();
  }
}
