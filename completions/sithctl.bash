# bash completion for sithctl

_sithctl() {
    local line=${COMP_LINE:0:COMP_POINT} value about word
    COMPREPLY=()
    while IFS=$'\t' read -r value about; do
        [[ $value ]] && COMPREPLY+=("$(printf %q "$value")")
    done < <(_SITHCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=$line "$1" 2>/dev/null)
    # bash ends words at : and =, so that what stands before is there already
    word=${line##*[[:space:]]}
    if [[ $word == *[:=]* ]]; then
        word=${word%"${word##*[:=]}"}
        COMPREPLY=("${COMPREPLY[@]#"$word"}")
    fi
    # what a folder, a prefix or a place begins goes on
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/:=.] ]]; then
        compopt -o nospace
    fi
}

complete -o default -o nosort -F _sithctl sithctl
