import { runCommand } from "../../../cli/run-command.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/**
 * Runs `phylax` in this process as if in this folder, which contains `.phylax/dev.json`. A door's folder is
 * its `home`. One command runs at a time.
 */
export async function commandIn(folder: string, ...args: readonly string[]): Promise<Ran> {
  const { log, error } = console;
  const cwd = Object.getOwnPropertyDescriptor(process, "cwd") ?? {};
  const before = process.env["INIT_CWD"];
  const [said, complained]: [string[], string[]] = [[], []];
  console.log = (...words: unknown[]) => void said.push(`${words.map(String).join(" ")}\n`);
  console.error = (...words: unknown[]) => {
    const line = words.map(String).join(" ");
    // The workers of the door run in this process, and their alarms may ring now.
    if (line.startsWith('{"event":')) error(line);
    else complained.push(`${line}\n`);
  };
  process.env["INIT_CWD"] = folder;
  process.cwd = () => folder;
  try {
    const code = await runCommand(args);
    return { code, out: said.join(""), error: complained.join("") };
  } finally {
    Object.assign(console, { log, error });
    Object.defineProperty(process, "cwd", cwd);
    if (before === undefined) delete process.env["INIT_CWD"];
    else process.env["INIT_CWD"] = before;
  }
}
