/**
 * Prints a script for bash; zsh runs it after `bashcompinit`. It completes the words of the named commands, then
 * file names.
 */
export function printCompletion(commandNames: readonly string[]): 0 {
  console.log(`_phylax() {
  local typed="\${COMP_WORDS[*]:1:COMP_CWORD-1}" word="\${COMP_WORDS[COMP_CWORD]}" names
  names="$(printf '%s\\n' '${commandNames.join("' '")}')"
  [ -n "$typed" ] && typed="$typed "
  COMPREPLY=($(compgen -W "$(printf '%s\\n' "$names" | grep -F -- "$typed" | cut -c$((\${#typed} + 1))- | cut -d' ' -f1 | sort -u)" -- "$word"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$word"))
}
[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit
complete -F _phylax phylax`);
  return 0;
}
