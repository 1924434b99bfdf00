import type { CodedInteraction } from "#deid/asked-of-form";
import type { Codes, DataSetEnded } from "#deid/codes";
import { isResourceType } from "#fhir/r4/elements";
import { renamedParameter, renamedSearch, type Rename } from "#fhir/search/renamed";
import { ok, type Result } from "#kernel/result";

/**
 * The question that a reader of a data set means: each code in it becomes the id of its row, by a single look-up. Any
 * other text, such as an original id or a code of another data set, becomes an id that no row has: the origin is asked
 * the same questions, and the answer is that of an absent row.
 *
 * @param newId 128 random bits as text.
 */
export async function meantBy(
  interaction: CodedInteraction,
  codes: Codes,
  newId: () => string,
): Promise<Result<CodedInteraction, DataSetEnded>> {
  const texts = new Set<string>();
  const note: Rename = (id) => {
    texts.add(id);
    return { id };
  };
  renamed(interaction, note);
  if (texts.size === 0) return ok(interaction);
  const names = await codes.namesOf([...texts]);
  if (!names.ok) return names;
  const nowhere = new Map<string, string>();
  const meant = renamed(interaction, (text, types) => {
    const [type = "", id] = names.value.get(text)?.split("/") ?? [];
    if (id !== undefined && isResourceType(type) && types?.has(type) !== false) return { type, id };
    const absent = nowhere.get(text) ?? newId();
    nowhere.set(text, absent);
    return { id: absent };
  });
  return ok(meant);
}

function renamed(interaction: CodedInteraction, rename: Rename): CodedInteraction {
  const one = (type: string, id: string) => rename(id, new Set([type])).id;
  switch (interaction.kind) {
    case "read":
      return { ...interaction, id: one(interaction.type, interaction.id) };
    case "search":
    case "lastn":
      return renamedSearch(interaction, rename);
    case "everything": {
      const { id, criteria } = interaction;
      const of = [...(criteria?.of ?? [])].map(
        ([type, parameters]) =>
          [type, parameters.map((parameter) => renamedParameter(type, parameter, rename))] as const,
      );
      return {
        ...interaction,
        ...(id !== undefined && { id: one("Patient", id), asked: id }),
        ...(criteria !== undefined && { criteria: { ...criteria, of: new Map(of) } }),
      };
    }
    case "capabilities":
      return interaction;
  }
}
