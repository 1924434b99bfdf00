import { Misuse } from "./misuse.ts";
import { giveResult, say } from "./output.ts";

/** A command as the script completes it. */
interface Completed {
  readonly name: string;
  readonly options: readonly string[];
}

/** Prints the script of a shell, bash by default. */
export function printCompletion(commands: readonly Completed[], args: readonly string[]): 0 {
  const [shell = "bash", ...more] = args;
  const write = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
  if (write === undefined || more.length > 0)
    throw new Misuse(`a shell is one of ${Object.keys(scripts).join(", ")}`);
  const script = write(commands);
  giveResult({ script });
  say(script);
  return 0;
}

/**
 * A script for bash; zsh runs it after `bashcompinit`. It completes the words of the commands, then their options and
 * file names.
 */
function bashScript(commands: readonly Completed[]): string {
  const names = commands.map(({ name }) => name).join("' '");
  // The longest name comes first, so that a shorter command's options are not taken for it.
  const cases = commands
    .toSorted((left, right) => right.name.length - left.name.length)
    .map(({ name, options }) => `    "${name}"|"${name} "*) options='${options.join(" ")}' ;;`);
  return `_phylax() {
  local typed="\${COMP_WORDS[*]:1:$((COMP_CWORD-1))}" word="\${COMP_WORDS[COMP_CWORD]}" names options=''
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
  [ \${#COMPREPLY[@]} -gt 0 ] && return
  COMPREPLY=()
  local file
  if [ -n "$ZSH_VERSION" ]; then
    for file in "$word"*; do if [ -e "$file" ]; then COMPREPLY+=("$file"); fi; done
    return
  fi
  compopt -o filenames 2> /dev/null
  while IFS= read -r file; do COMPREPLY+=("$file"); done < <(compgen -f -- "$word")
}
if [ -n "$ZSH_VERSION" ]; then
  whence -w compdef > /dev/null || { autoload -U compinit && compinit; }
  autoload -U +X bashcompinit && bashcompinit
fi
complete -F _phylax phylax`;
}

/** A script for fish: the words of the commands, then their options and file names. */
function fishScript(commands: readonly Completed[]): string {
  const cases = commands
    .toSorted((left, right) => right.name.length - left.name.length)
    .map(({ name, options }) => `    case '${name} *'; printf '%s\\n' ${options.join(" ")}`);
  return `function __phylax_typed
  set -l typed (commandline -opc)
  set -e typed[1]
  test (count $typed) -gt 0; and printf '%s ' $typed
  true
end
function __phylax_words
  set -l typed (string join '' -- (__phylax_typed))
  for name in '${commands.map(({ name }) => name).join("' '")}'
    set -l rest (string sub -s (math (string length -- "$typed") + 1) -- "$name")
    if test "$typed$rest" = "$name" -a -n "$rest"
      string split -m 1 -f 1 ' ' -- "$rest"
    end
  end | string match -v -- '-*' | sort -u
end
function __phylax_options
  switch (string join '' -- (__phylax_typed))
${cases.join("\n")}
  end
end
complete -c phylax -e
complete -c phylax -f -n 'test (count (__phylax_words)) -gt 0' -a '(__phylax_words)'
complete -c phylax -f -n 'string match -q -- "-*" (commandline -ct)' -a '(__phylax_options)'
complete -c phylax -F -n 'test (count (__phylax_words)) -eq 0'`;
}

const scripts: Readonly<Record<string, (commands: readonly Completed[]) => string>> = {
  bash: bashScript,
  zsh: bashScript,
  fish: fishScript,
};
