import { test } from "vitest";
import { valuesAt, type JsonObject } from "#fhir/json/json";
import { withStatements } from "#phi/extension";
import { masked } from "#policy/view/masked";

const of = (elements?: readonly string[]) =>
  ({
    kind: "disagreement",
    rows: ["DocumentReference/a", "Patient/a"],
    summary: "It is not mine.",
    messages: [],
    ...(elements && { elements }),
  }) as const;
const base = "https://api.example/v1/fhir/main";
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
    expect("extension" in withStatements(shown, [statement], base)).toBe(follows);
  },
);

test.for([
  ["no address", undefined, true],
  ["an address that no server has", "urn:uuid:1", true],
  ["the address of the row", `${base}/DocumentReference/a`, true],
  ["the address of another row", `${base}/DocumentReference/b`, false],
  ["the address of another server", "https://other.example/fhir/DocumentReference/a", false],
] as const)(
  "a statement follows a copy of the row in a Bundle, with %s",
  ([, fullUrl, follows], { expect }) => {
    const entry = (more: object) => ({ ...(fullUrl && { fullUrl }), resource: { ...note, ...more } });
    const document = {
      resourceType: "Bundle",
      type: "document",
      entry: [entry({}), { resource: { ...note, id: "c" } }],
    };
    const inner = { resourceType: "Bundle", type: "collection", entry: [{ resource: document }] };
    const stated = (bundle: JsonObject) =>
      valuesAt(bundle, ["entry", "resource"]).map(
        (each) => JSON.stringify(each).split("urn:phylax").length - 1,
      );
    const [one, nested] = [document, inner].map((each) => withStatements(each, [of()], base));
    expect(stated(one ?? {})).toEqual([follows ? 1 : 0, 0]);
    expect(stated(nested ?? {})).toEqual([follows ? 1 : 0]);
    expect(one === document, "the same object if nothing follows").toBe(!follows);
  },
);
