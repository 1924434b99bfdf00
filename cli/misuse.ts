import { faultWords, isFileFault } from "./fault-words.ts";
import { complain } from "./output.ts";
import { printable } from "./printable.ts";

/** A wrong call of a command. Its usage follows the message, if there is a message. */
export class Misuse extends Error {}

/** A file that the call names and that cannot be used. The call has the right form, so no usage follows. */
export class UnusableFile extends Error {}

/**
 * A name in the call that cannot be used, such as the id of a client that is not registered. The call has the right
 * form, so no usage follows.
 */
export class UnusableName extends Error {}

/** A refusal of the operators' API. */
export class Refused extends Error {}

/** Answers whether the fault is a wrong call: node:util's parseArgs throws a TypeError with a code. */
export const isMisuse = (fault: unknown): fault is Error =>
  fault instanceof Misuse ||
  (fault instanceof TypeError && String(Reflect.get(fault, "code")).startsWith("ERR_PARSE_ARGS_"));

/**
 * Prints a command's fault and returns its exit code: 2 for a refusal, and for a file or a name of the call that cannot be used, else 1.
 * A misuse goes on to the printer of the usage.
 */
export function printFault(fault: unknown): 1 | 2 {
  if (isMisuse(fault)) throw fault;
  complain(printable(faultWords(fault)));
  const isOfCall =
    fault instanceof UnusableFile ||
    fault instanceof UnusableName ||
    fault instanceof Refused ||
    isFileFault(fault);
  return isOfCall ? 2 : 1;
}
