import { giveResult, say } from "./output.ts";

/** A command as the script completes it. */
interface Completed {
  readonly name: string;
  readonly options: readonly string[];
}

/**
 * Prints a script for bash; zsh runs it after `bashcompinit`. It completes the words of the commands, then their
 * options and file names.
 */
export function printCompletion(commands: readonly Completed[]): 0 {
  const names = commands.map(({ name }) => name).join("' '");
  // The longest name comes first, so that a shorter command's options are not taken for it.
  const cases = commands
    .toSorted((left, right) => right.name.length - left.name.length)
    .map(({ name, options }) => `    "${name}"|"${name} "*) options='${options.join(" ")}' ;;`);
  const script = `_phylax() {
  local typed="\${COMP_WORDS[*]:1:COMP_CWORD-1}" word="\${COMP_WORDS[COMP_CWORD]}" names options=''
  names="$(printf '%s\\n' '${names}')"
  case "$typed" in
${cases.join("\n")}
  esac
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
    return
  fi
  [ -n "$typed" ] && typed="$typed "
  COMPREPLY=($(compgen -W "$(printf '%s\\n' "$names" | grep -F -- "$typed" | cut -c$((\${#typed} + 1))- | cut -d' ' -f1 | sort -u)" -- "$word"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$word"))
}
[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit
complete -F _phylax phylax`;
  giveResult({ script });
  say(script);
  return 0;
}
