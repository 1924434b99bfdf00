import { test } from "vitest";
import { withStatements } from "#phi/extension";
import { masked } from "#policy/view/masked";

const of = (elements?: readonly string[]) =>
  ({
    kind: "disagreement",
    rows: [],
    summary: "It is not mine.",
    messages: [],
    ...(elements && { elements }),
  }) as const;
const note = { resourceType: "DocumentReference", id: "a", status: "current" };

test.for([
  ["the content itself", of(["content"]), { ...note, content: [{ attachment: { title: "A note" } }] }, true],
  [
    "a masked part of a repeated member",
    of(["content"]),
    { ...note, content: [{ attachment: masked }] },
    false,
  ],
  ["a repeated member that is masked", of(["content"]), { ...note, content: [masked] }, false],
  ["a member that is masked", of(["content"]), { ...note, content: masked }, false],
  ["no such member", of(["content"]), note, false],
  ["the whole row", of(), note, true],
  ["an id alone", of(), { resourceType: "Patient", id: "a" }, false],
] as const)(
  "a statement follows what it disputes, and no mask of it: %s",
  ([, statement, shown, follows], { expect }) => {
    expect("extension" in withStatements(shown, [statement])).toBe(follows);
  },
);
