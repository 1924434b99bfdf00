/**
 * A value of a Cap'n Proto text configuration. An object is a struct, and its undefined members are left out;
 * `embed` names a file next to the configuration.
 */
export type Capnp = string | number | boolean | readonly Capnp[] | Embed | CapnpStruct;
export interface CapnpStruct {
  readonly [field: string]: Capnp | undefined;
}

/** The content of a file, by its path relative to the configuration. */
class Embed {
  readonly path: string;
  constructor(path: string) {
    this.path = path;
  }
}
export const embed = (path: string): Capnp => new Embed(path);

/** A whole configuration for `workerd serve`: the text of one `Workerd.Config`. */
export function workerdConfig(config: CapnpStruct): string {
  return `using Workerd = import "/workerd/workerd.capnp";\nconst config :Workerd.Config = ${text(config)};\n`;
}

function text(value: Capnp): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (value instanceof Embed) return `embed ${quoted(value.path)}`;
  if (isList(value)) return `[${value.map(text).join(",\n")}]`;
  const fields = Object.entries(value).flatMap(([name, field]) =>
    field === undefined ? [] : [`${name} = ${text(field)}`],
  );
  return `(${fields.join(", ")})`;
}

const isList = (value: readonly Capnp[] | CapnpStruct): value is readonly Capnp[] => Array.isArray(value);

/** Both languages share these escapes: \" \\ \n \r \t \b \f. JSON's \u has no counterpart in Cap'n Proto. */
function quoted(value: string): string {
  const json = JSON.stringify(value);
  if (/(?<!\\)(?:\\\\)*\\u/u.test(json))
    throw new Error("a control character in the configuration of workerd");
  return json;
}
