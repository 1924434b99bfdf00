import { isAttachmentLink } from "#fhir/route";
import { ok } from "#kernel/result";
import type { Bases } from "#phi/origin-urls";
import { authorizeReading, type Permission } from "#gateway/admission/authorize";
import type { OriginSession } from "#gateway/origin/origin-session";
import { gather } from "#gateway/read/gather";

/** Each is read whole for the decision: up to 8 MiB and a search. */
const binariesMax = 20;

/** The writer may not read the content to which a new URL of an attachment leads. */
export const beyondReach = { reason: "result_outside_access", decision: { by: "scope" } } as const;

/**
 * The URLs of attachments that a write changes. A link that the row shows becomes the URL in whose place it stands. The
 * URL of a Binary leads each reader of the row to the Binary's content: only a writer who may read that content writes
 * it.
 */
export class NewAttachments {
  /** The bases by which the row is cut for its writer. */
  readonly bases: Bases;
  readonly #origin: OriginSession;
  readonly #shown = new Map<string, string>();
  readonly #binaries = new Set<string>();

  constructor(origin: OriginSession, bases: Bases) {
    this.#origin = origin;
    this.bases = {
      ...bases,
      sealed: (row, url) => {
        const link = bases.sealed?.(row, url);
        if (link !== undefined) this.#shown.set(link, url);
        return link;
      },
    };
  }

  readonly toStore = (url: string): string | undefined => {
    if (isAttachmentLink(url.replace(/^.*Binary\//u, ""))) return this.#shown.get(url);
    // Each reader of the row would be led to the content: the rule of another row decides about it.
    if (this.#origin.mayBeStored(url)) return undefined;
    const id = this.#origin.binaryAt(url, this.bases.origin);
    if (id !== undefined) this.#binaries.add(id);
    return url;
  };

  async mayBeRead(writer: Permission): Promise<boolean> {
    if (this.#binaries.size > binariesMax) return false;
    for (const id of this.#binaries) {
      const grant = authorizeReading(writer, { kind: "read", type: "Binary", id });
      if (!grant.ok || !(await gather(grant.value, undefined, this.#origin, noLinks)).ok) return false;
    }
    return true;
  }
}

const noLinks = { to: async () => ok(undefined) };
