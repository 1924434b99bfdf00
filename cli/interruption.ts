let hasSentChange = false;
let isEndless = false;

/** Notes that a request goes out that changes something at a server: its outcome is unknown without an answer. */
export function noteSentChange(): void {
  hasSentChange = true;
}

/** Notes that the command runs until it is interrupted. */
export function noteEndless(): void {
  isEndless = true;
}

/** The exit code of an interrupted command: 130, as a shell has it, or 0 if nothing else ends it. */
export const interruptedCode = (): number => (isEndless ? 0 : 130);

/** What an interrupted command says. */
export const interruption = (): string =>
  hasSentChange
    ? "interrupted: a change that was sent may be in force; look before you repeat it"
    : "interrupted";
