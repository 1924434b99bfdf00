import type { IssueType } from "#fhir/outcome";

/**
 * The reason why a body may not be written, and the place: a fixed sentence that quotes no value, neither of
 * the body nor of the stored resource.
 */
export interface MergeIssue {
  readonly severity: "error";
  readonly code: IssueType;
  /** In R4's simple FHIRPath, by the positions of the body: `Patient.name[0].given`. */
  readonly expression: string;
  readonly text: string;
}

export type MergeFault = keyof typeof faults;

const faults = {
  /** P2: a write, too, drops nothing silently. */
  hidden: { code: "forbidden", text: "This may not be written: it is outside what may be seen here." },
  unknown: { code: "structure", text: "FHIR R4 does not define this element here." },
  malformed: { code: "structure", text: "This has not the JSON form of R4's element." },
  read_only: {
    code: "forbidden",
    text: "This may not be written: leave it as it was read, and change what stands beside it with PATCH.",
  },
  unmatched: {
    code: "forbidden",
    text: "Parts of these items may not be seen, so that it must be certain which is which: name them by id, or use PATCH.",
  },
  not_removed: {
    code: "forbidden",
    text: "Parts of this may not be seen, and are not to be lost: it is not removed.",
  },
  not_added: {
    code: "forbidden",
    text: "This is not added: what R4 requires in it may not be seen, and so not be written.",
  },
  choice_hidden: {
    code: "forbidden",
    text: "Another form of this may be stored that may not be seen: it is not set.",
  },
  contained: {
    code: "not-supported",
    text: "An update changes contained resources by their ids; it neither adds nor removes any.",
  },
  narrative: {
    code: "forbidden",
    text: "The narrative says more than the elements and may not be seen: nothing can be changed under it.",
  },
} as const satisfies Readonly<Record<string, Pick<MergeIssue, "code" | "text">>>;

export const mergeIssue = (fault: MergeFault, expression: string): MergeIssue => ({
  severity: "error",
  expression,
  ...faults[fault],
});
