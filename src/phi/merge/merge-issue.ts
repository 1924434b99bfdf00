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
  hidden: {
    code: "forbidden",
    text: "This may not be written: the policy does not show this element. Leave it out.",
  },
  unknown: { code: "structure", text: "FHIR R4 does not define this element here." },
  malformed: { code: "structure", text: "Not valid FHIR R4 JSON for this element." },
  read_only: {
    code: "forbidden",
    text: "This may not be changed: leave it as you read it, and change the elements next to it with PATCH.",
  },
  unmatched: {
    code: "forbidden",
    text: "Parts of these items are hidden, so each item must be identifiable: give the items ids, or use PATCH.",
  },
  not_removed: {
    code: "forbidden",
    text: "Parts of this are hidden and must not be lost: it cannot be removed.",
  },
  not_added: {
    code: "forbidden",
    text: "This cannot be added: R4 requires an element in it that is hidden and so cannot be written.",
  },
  choice_hidden: {
    code: "forbidden",
    text: "A hidden form of this may be stored: it cannot be set.",
  },
  contained: {
    code: "not-supported",
    text: "An update changes contained resources by their ids; it cannot add or remove them.",
  },
  attached: {
    code: "forbidden",
    text: "This link belongs to another element or another person: write the link that you read here, or another URL.",
  },
  narrative: {
    code: "forbidden",
    text: "The narrative says more than the elements and is hidden: the elements under it cannot be changed.",
  },
} as const satisfies Readonly<Record<string, Pick<MergeIssue, "code" | "text">>>;

export const mergeIssue = (fault: MergeFault, expression: string): MergeIssue => ({
  severity: "error",
  expression,
  ...faults[fault],
});
