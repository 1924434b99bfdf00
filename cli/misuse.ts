import { printable } from "./printable.ts";
import { complain } from "./output.ts";

/** A wrong call of a command. Its usage follows the message, if there is a message. */
export class Misuse extends Error {}

/** Answers whether the fault is a wrong call: node:util's parseArgs throws a TypeError with a code. */
export const isMisuse = (fault: unknown): fault is Error =>
  fault instanceof Misuse ||
  (fault instanceof TypeError && String(Reflect.get(fault, "code")).startsWith("ERR_PARSE_ARGS_"));

/** Prints a command's fault and returns its exit code. A misuse goes on to the printer of the usage. */
export function printFault(fault: unknown): 1 {
  if (isMisuse(fault)) throw fault;
  complain(printable(fault instanceof Error ? fault.message : String(fault)));
  return 1;
}
