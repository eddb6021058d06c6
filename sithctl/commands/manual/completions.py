"""Completion scripts for the shells: each asks the program itself.

Typer's own scripts leave a space behind a folder, take bash's words, which end at every colon, and
ask twice in fish. All three shells ask here in the same way: for lines of a value, a tab and a word
about it, of what stands before the cursor. Where there are none the shell completes files.
"""

from __future__ import annotations

# Typer's protocol for fish; its answers suit every shell.
ASK = "_SITHCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS="

BASH = rf"""
# bash completion for sithctl

_sithctl() {{
    local line=${{COMP_LINE:0:COMP_POINT}} value about word form=%q
    local single=${{line//[^\']/}} double=${{line//[^\"]/}}
    (( ${{#single}} % 2 || ${{#double}} % 2 )) && form=%s  # within quotes nothing needs its own
    COMPREPLY=()
    while IFS=$'\t' read -r value about; do
        [[ $value ]] && COMPREPLY+=("$(printf $form "$value")")
    done < <({ASK}$line "$1" 2>/dev/null)
    # bash ends words at : and =, so that what stands before is there already
    word=${{line##*[[:space:]]}}
    if [[ $word == *[:=]* ]]; then
        word=${{word%"${{word##*[:=]}}"}}
        COMPREPLY=("${{COMPREPLY[@]#"$word"}}")
    fi
    # what a folder, a prefix or a place begins goes on
    if [[ ${{#COMPREPLY[@]}} == 1 && ${{COMPREPLY[0]}} == *[/:=.] ]]; then
        compopt -o nospace
    fi
}}

complete -o default -o nosort -F _sithctl sithctl
"""

ZSH = rf"""
#compdef sithctl

_sithctl() {{
  local value about
  local -a ends plain begun
  while IFS=$'\t' read -r value about; do
    if [[ -z $value ]]; then
      continue
    elif [[ $value == *[/:=.] ]]; then
      begun+=("$value")  # goes on
    elif [[ -z $about ]]; then
      plain+=("$value")
    else
      ends+=("${{value//:/\\:}}:$about")
    fi
  done < <({ASK}"${{(j: :)words[1,CURRENT]}}" $words[1] 2>/dev/null)
  compset -P '--*='
  if (( ! $#ends && ! $#plain && ! $#begun )); then
    _files
    return
  fi
  local found=1
  (( $#ends )) && _describe -V value ends && found=0
  (( $#plain )) && compadd -V value -a plain && found=0
  (( $#begun )) && compadd -S '' -a begun && found=0
  return found
}}

if [[ $funcstack[1] == _sithctl ]]; then
  _sithctl "$@"
else
  compdef _sithctl sithctl
fi
"""

FISH = rf"""
# fish completion for sithctl

function __sithctl_complete
    set -l line (commandline -cp | string collect)
    set -l found (env {ASK}$line sithctl 2>/dev/null)
    set -l option (string match -r -- '^--[^=]*=' (commandline -ct))
    if test -n "$found[1]"
        printf "$option%s\n" $found
    else
        __fish_complete_path (commandline -ct)
    end
end

complete --command sithctl --no-files --keep-order --arguments '(__sithctl_complete)'
"""


def scripts() -> dict[str, str]:
    """The scripts by the names that the shells look them up by."""
    found = {"sithctl": BASH, "_sithctl": ZSH, "sithctl.fish": FISH}
    return {name: script.lstrip("\n") for name, script in found.items()}
