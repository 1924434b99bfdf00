import { concat } from "#ledger/bytes/bytes";
import { err, ok, type Result } from "#kernel/result";
import { type Defined, definitionBytesMax, digestOf, readContent } from "./definition.ts";
import type { AuditEvent } from "./event.ts";
import type { AuditRecord } from "./record.ts";

/** The definitions of a log, for a reader of its records in their order. */
export class DefinitionIndex {
  readonly #known = new Map<string, Defined>();
  #chunks: Uint8Array[] = []; // of the definition that is being read

  /** Adds a record of kind `definition`. An error: its chunks are not the content that its digest names. */
  add({ event, part, parts }: AuditRecord): Result<void, "bad_definition"> {
    const { contentDigest = "", chunk = new Uint8Array() } = event.definition ?? {};
    if (part === 1) this.#chunks = [];
    this.#chunks.push(chunk);
    const bytes = this.#chunks.reduce((sum, { length }) => sum + length, 0);
    if (this.#chunks.length !== part || bytes > definitionBytesMax) return err("bad_definition");
    if (part < parts) return ok(undefined);
    const content = concat(this.#chunks);
    this.#chunks = [];
    if (digestOf(content) !== contentDigest) return err("bad_definition");
    const read = readContent(content);
    // A later version may define content of further types.
    if (read.ok) this.#known.set(contentDigest, read.value.defined);
    return ok(undefined);
  }

  /** The event with the content of the definitions that it names, in place of their digests. */
  resolve(event: AuditEvent): Result<AuditEvent, "definition_missing"> {
    const { pathsDigest, ...withheld } = event.withheld ?? {};
    const { textDigest, ...document } = event.document ?? {};
    let resolved = event;
    if (pathsDigest !== undefined) {
      const defined = this.#known.get(pathsDigest);
      if (defined?.type !== "withheld-paths") return err("definition_missing");
      resolved = { ...resolved, withheld: { ...withheld, paths: defined.value } };
    }
    if (textDigest !== undefined) {
      const defined = this.#known.get(textDigest);
      if (defined?.type !== "document-part") return err("definition_missing");
      resolved = { ...resolved, document: { ...document, text: defined.value } };
    }
    return ok(resolved);
  }
}
