import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { Misuse } from "./misuse.ts";

type ValuesOf<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; allowPositionals: true }>
>["values"];

/** The options and the names of a call. An unknown option is a misuse. */
export function readCall<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
): { readonly values: ValuesOf<Options>; readonly positionals: readonly string[] } {
  // In this general form, because the type of the values does not resolve for a type parameter.
  const general: ParseArgsOptionsConfig = options;
  const { values, positionals } = parseArgs({ args: [...args], allowPositionals: true, options: general });
  return { values: values as ValuesOf<Options>, positionals };
}

/** The options of a call, and the single name that it has to give. */
export function readNamedCall<const Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
): { readonly values: ValuesOf<Options>; readonly name: string } {
  const { values, positionals } = readCall(args, options);
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw new Misuse();
  return { values, name };
}
